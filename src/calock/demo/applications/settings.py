"""What a sample application is told when it starts: where it is, and how the platform knows it."""

from __future__ import annotations

import http.client
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """How it is registered on one site of the platform."""

    site: str
    platform: str
    """What people call the platform."""
    issuer: str
    client_id: str


class SampleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read from a JSON file; ``origin`` is the application's own."""

    name: str
    origin: str
    port: int
    registrations: tuple[Registration, ...]

    def of(self, site: str) -> Registration | None:
        """The registration on that site."""
        return next((found for found in self.registrations if found.site == site), None)


def read_settings(path: Path) -> SampleSettings:
    return msgspec.json.decode(path.read_bytes(), type=SampleSettings)


def call(url: str, body: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Ask the platform, as a server of an integrator would. Practice names (``*.localhost``) are this computer."""
    parts = urlsplit(url)
    assert parts.scheme == "http"
    assert (parts.hostname or "").endswith("localhost")
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=10)
    sent = {"Host": parts.netloc, "Accept": "application/json", **(headers or {})}
    if body is not None:
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    try:
        connection.request("GET" if body is None else "POST", parts.path + (f"?{parts.query}" if parts.query else ""), body, sent)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that the platform posts."""
    return dict(parse_qsl((await request.body()).decode()))
