"""From a request of the server's event loop to Django's WSGI application and back, for requests that are complete."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, NamedTuple, Protocol

from calock.server.web.file_part import FilePart

MAX_HEADERS = 32 * 1024
"""Bytes of all headers of a request; what browsers and proxies send is a tenth of that."""

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
_OF_THE_SERVER: Environ = {
    "SCRIPT_NAME": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
}


class HeadersError(RuntimeError):
    """The request's headers are none that a browser or proxy sends; the connection is closed with ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__("the request's headers cannot be accepted")
        self.status = status


class Scope(Protocol):
    """What the bridge needs of an RSGI scope (granian's specification, version 1.6)."""

    client: str
    server: str
    method: str
    path: str
    query_string: str
    headers: Any


class Answer(NamedTuple):
    """What the application answered; with ``descriptor`` bytes ``start`` up to ``stop`` of that open file instead of ``body``."""

    status: int
    headers: Headers
    body: bytes = b""
    descriptor: int | None = None
    start: int = 0
    stop: int = 0


def _host_and_port(address: str) -> tuple[str, str]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def environ_of(scope: Scope, body: BinaryIO, length: int | None) -> Environ:
    """The WSGI environment (PEP 3333) of a request whose body is ``length`` bytes.

    A header whose name has an underscore is left out: ``X_Forwarded_For`` would read like ``X-Forwarded-For``.

    Raises:
        HeadersError: too large, no Host or several.
    """
    server, port = _host_and_port(scope.server)
    environ: Environ = {
        **_OF_THE_SERVER,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": _host_and_port(scope.client)[0],
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "CONTENT_LENGTH": "" if length is None else str(length),
        "wsgi.input": body,
    }
    size = 0
    for name, value in scope.headers.items():
        size += len(name) + len(value)
        if "_" in name or name == "content-length":
            continue
        key = "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_")
        if key not in environ:
            environ[key] = value
        elif name == "host":
            raise HeadersError(400)
        else:
            environ[key] += ("; " if name == "cookie" else ",") + value
    if size > MAX_HEADERS:
        raise HeadersError(431)
    if "HTTP_HOST" not in environ:
        raise HeadersError(400)
    return environ


def ask(application: Application, environ: Environ) -> Answer:
    """Run the application to the end of its answer, in this thread."""
    status, headers = 500, []

    def start(said: str, given: Headers, _error: object = None) -> None:
        nonlocal status, headers
        status, headers = int(said[:3]), given

    answered = application(environ, start)
    try:
        part: FilePart | None = getattr(answered, "file_part", None)
        if part is not None:  # a descriptor of its own: the very file that was checked, whatever has its name by then
            return Answer(status, headers, b"", os.dup(part.file.fileno()), part.start, part.stop)
        return Answer(status, headers, b"".join(answered))
    finally:
        close = getattr(answered, "close", None)
        if close is not None:
            close()
