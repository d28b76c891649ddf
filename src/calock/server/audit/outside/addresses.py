"""What addresses of places outside look like, and whether one makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 10.0
"""How long a place may take for one step."""
PORTS = {"syslog+udp": 514, "syslog+tcp": 601, "http": 80, "https": 443}
Heads = Sequence[tuple[int, str]]
"""Seals' numbers and the heads' lines."""


class PlaceError(OSError):
    """A place did not take or give a head; the text says what it answered."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, and with what."""

    name: str
    """Short name of the machine's key: its file in a folder is called so."""
    token: str = ""
    """``Authorization: Bearer`` for a place that is reached by HTTP."""


def require_place(address: str, *, token: bool) -> None:
    """Refuse what is no address of a place. ``token``: one is to be sent there.

    Raises:
        ValueError: with the reason.
    """
    parts = urlsplit(address)
    if parts.scheme in ("file", "syslog+unix"):
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise ValueError(f"{address} has three slashes and a path behind {parts.scheme}:")
        return
    if parts.scheme not in PORTS:
        raise ValueError(f"{address!r} begins with none of file, syslog+udp, syslog+tcp, syslog+unix, https, http")
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment or parts.port == 0:
        raise ValueError(f"a place of {parts.scheme} is a host and a path, without user, ? and #")
    if token and parts.scheme == "http":
        raise ValueError("a token is sent over https only")
