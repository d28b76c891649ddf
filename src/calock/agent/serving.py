"""Listening: the loopback socket, and uvicorn configured to disclose as little as possible."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from calock.agent.peer import is_same_user
from calock.wire.driver import MAX_BODY, PORTS

HEAD_SECONDS = 10.0
_TURNED_AWAY = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
MAX_FRAME = 1024
"""Bytes per WebSocket message. A page sends none; the limit bounds what an offender can make us read."""


class NoPortError(RuntimeError):
    """All ports at which pages look for a driver are in use."""


class OwnUserListener(socket.socket):
    """A listening socket that hands on connections of this user's programs only, before they count or cost anything.

    The others get the same empty refusal as a page that is not allowed.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        if is_same_user(address, connection.getsockname()):
            return connection, address
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            connection.send(_TURNED_AWAY)
            connection.recv(MAX_BODY)  # what was asked: unread, it would make the kernel take the answer back
        connection.close()
        raise ConnectionAbortedError  # asyncio waits for the next one


def listen(ports: Sequence[int] = PORTS) -> socket.socket:
    """Bind the first free port on 127.0.0.1; never another address.

    Raises:
        NoPortError: all are taken.
    """
    for port in ports:
        found = OwnUserListener(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform == "win32":
            found.setsockopt(
                socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1
            )  # no other program may bind the same port beside this one
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(("127.0.0.1", port))
            found.listen(64)
        except OSError:
            found.close()
            continue
        found.setblocking(False)
        return found
    raise NoPortError(
        f"no free port: other programs of this computer use {', '.join(map(str, ports))}; several users may be signed in,"
        " and each user's driver needs one"
    )


class RequestDeadlineProtocol(H11Protocol):
    """uvicorn's HTTP protocol; closes a connection on which no request arrives within ``HEAD_SECONDS``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrowing
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._expire, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _expire(self, transport: asyncio.Transport) -> None:
        if self.cycle is None and transport.get_protocol() is self:
            transport.close()


class LoopbackServer(uvicorn.Server):
    """uvicorn's server, which returns after SIGTERM or SIGINT instead of raising the signal again: the exit status is 0.

    ``secure`` is one more listener with its TLS settings, for the same application.
    """

    secure: tuple[socket.socket, ssl.SSLContext] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.secure is None:
            return
        loop = asyncio.get_running_loop()
        listener, context = self.secure

        def protocol() -> RequestDeadlineProtocol:
            return RequestDeadlineProtocol(self.config, self.server_state, self.lifespan.state, loop)

        made = await loop.create_server(protocol, sock=listener, ssl=context, ssl_handshake_timeout=HEAD_SECONDS)
        self.servers.append(made)  # uvicorn's shutdown closes it with the others

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def server_for(app: ASGIApp, *, secure: tuple[socket.socket, ssl.SSLContext] | None = None) -> uvicorn.Server:
    """Make the server; give it the plain socket by ``serve(sockets=[…])``."""
    server = LoopbackServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=RequestDeadlineProtocol,
            ws="wsproto",
            ws_max_size=MAX_FRAME,
            ws_per_message_deflate=False,
            h11_max_incomplete_event_size=MAX_BODY,
            interface="asgi3",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=96,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=2,
        )
    )
    server.secure = secure
    return server
