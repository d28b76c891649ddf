"""The driver's HTTP service on 127.0.0.1: the loopback API of ``calock.wire.driver``, the events, and the pages of its own."""

from __future__ import annotations

import asyncio
import logging
import platform
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from calock import __version__
from calock.agent.config import Config
from calock.agent.driver_key import DriverKey
from calock.agent.guard import ORIGIN_KEY
from calock.agent.locks import LockTable
from calock.agent.operations import Operations
from calock.agent.rate import TokenBucket
from calock.agent.replies import EmptyRequest, json_reply, read_message, refusal_reply
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire
from calock.wire.driver_key import DriverProof, Purpose

log = logging.getLogger("calock.agent.service")

MAX_LISTENERS = 32
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,128}")
T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class Service:
    """The endpoints over one lock table. ``operations`` is shared with the driver's own pages."""

    def __init__(self, config: Config, table: LockTable, key: DriverKey) -> None:
        self.config, self.table, self._key = config, table, key
        self.operations = Operations(table)
        self.signing_rate = TokenBucket(
            burst=max(1, config.signatures_per_minute // 2), per_second=config.signatures_per_minute / 60
        )
        self._started = time.monotonic()
        self._listeners = 0

    def endpoint(self, handle: Endpoint) -> Endpoint:
        """Wrap an endpoint: a refusal is answered with its reason, any other exception with DRIVER_FAILED and its type only."""

        async def wrapped(request: Request) -> Response:
            try:
                return await handle(request)
            except Refusal as refusal:
                self.operations.reasons[refusal.reason] += 1
                log.info("refused: %s", refusal.reason)
                return refusal_reply(refusal)
            except Exception as error:  # noqa: BLE001 - its text may quote the request: only its type is told
                log.error("failed: %s", type(error).__name__)  # noqa: TRY400 - a traceback could hold a PIN
                return refusal_reply(Refusal(Reason.DRIVER_FAILED, type(error).__name__))

        return wrapped

    def require_rate(self, origin: str) -> None:
        """Refuse TOO_MANY_ATTEMPTS when this page asks for signatures too often."""
        if not self.signing_rate.take(origin):
            raise Refusal(Reason.TOO_MANY_ATTEMPTS, "too many signatures asked for")

    async def hello(self, request: Request) -> Response:
        nonce = (await read_message(request, wire.HelloRequest)).nonce
        if nonce and not _NONCE.fullmatch(nonce):
            raise Refusal(Reason.REQUEST_MALFORMED, "nonce: 16 to 128 of A-Z a-z 0-9 - _")
        return json_reply(
            wire.Hello(
                driver="calock",
                version=__version__,
                protocol=wire.PROTOCOL,
                pin_entry=self.config.pin_entry,
                package=self.config.package,
                proof=self.prove(request, request.scope[ORIGIN_KEY], "hello", nonce) if nonce else None,
            )
        )

    def prove(self, request: Request, origin: str, purpose: Purpose, nonce: str) -> DriverProof:
        """Sign with the driver's key for ``origin``, at the port where it was asked."""
        return self._key.prove(purpose, origin=origin, port=request.scope["server"][1], nonce=nonce)

    async def locks(self, request: Request) -> Response:
        await read_message(request, EmptyRequest)
        await self.table.refresh()
        return self._view(request.scope[ORIGIN_KEY])

    def _view(self, origin: str) -> Response:
        return json_reply(self.table.view(origin, window_only=self.operations.wrong_pins.window_only(origin)))

    async def authenticate(self, request: Request) -> Response:
        message = await read_message(request, wire.AuthenticateRequest)
        origin = self._page(request)
        answer = await self.while_asked(request, self.operations.authenticate(origin, message))
        return json_reply(self.with_proof(request, origin, message.challenge, answer))

    def with_proof(self, request: Request, origin: str, challenge: str, answer: wire.AuthenticateReply) -> wire.AuthenticateReply:
        """Add which driver gave the answer."""
        return msgspec.structs.replace(answer, driver=self.prove(request, origin, "answer", challenge))

    async def change_pin(self, request: Request) -> Response:
        message = await read_message(request, wire.ChangePinRequest)
        origin = self._page(request)
        return json_reply(await self.while_asked(request, self.operations.change_pin(origin, message)))

    async def reveal(self, request: Request) -> Response:
        message = await read_message(request, wire.RevealRequest)
        origin = self._page(request)
        await self.while_asked(request, self.operations.reveal(origin, message))
        return self._view(origin)

    async def cancel(self, request: Request) -> Response:
        await read_message(request, EmptyRequest)
        return json_reply(wire.Cancelled(cancelled=self.operations.cancel(request.scope[ORIGIN_KEY])))

    def _page(self, request: Request) -> str:
        """Origin of a page that hands over a PIN.

        Raises:
            Refusal: NOT_ALLOWED, this driver takes no PIN from pages; TOO_MANY_ATTEMPTS.
        """
        if "page" not in self.config.pin_entry:
            raise Refusal(Reason.NOT_ALLOWED, "this driver takes PINs in its own window only")
        origin: str = request.scope[ORIGIN_KEY]
        self.require_rate(origin)
        return origin

    async def while_asked(self, request: Request, operation: Coroutine[Any, Any, T]) -> T:
        """Wait for an operation, and end it when the browser closes the request: the page was left, or gave up."""
        working = asyncio.create_task(operation)
        leaving = asyncio.ensure_future(_left(request))
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not working.done():
            self.operations.give_up(working)
        return await working

    async def diagnosis(self, request: Request) -> Response:
        await read_message(request, EmptyRequest)
        return json_reply(self.diagnose())

    def diagnose(self) -> wire.Diagnosis:
        """Return what support needs; nothing in it names a person, a lock or a folder."""
        modules = tuple(
            wire.ModuleState(
                module=module.name,
                backend=module.kind,
                state="running" if module.running else "failed" if module.failure else "starting",
                reason=module.failure[0] if module.failure else "",
                locks=self.table.count_in(module),
                restarts=module.restarts,
            )
            for module in self.table.modules
        )
        return wire.Diagnosis(
            version=__version__,
            protocol=wire.PROTOCOL,
            package=self.config.package,
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=platform.python_version(),
            uptime_seconds=int(time.monotonic() - self._started),
            modules=modules,
            reasons=dict(self.operations.reasons),
        )

    async def events(self, socket: WebSocket) -> None:
        """Push the revision at once and after every change. A page sends nothing here; any message closes the socket."""
        if wire.EVENTS_SUBPROTOCOL not in socket.scope.get("subprotocols", ()) or self._listeners >= MAX_LISTENERS:
            await socket.close(1008)
            return
        await socket.accept(wire.EVENTS_SUBPROTOCOL)
        self._listeners += 1
        pushing = asyncio.create_task(self._push(socket))
        try:
            message = await socket.receive()
            if message["type"] != "websocket.disconnect":
                await socket.close(1008)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._listeners -= 1
            pushing.cancel()

    async def _push(self, socket: WebSocket) -> None:
        revision = 0
        try:
            while True:
                revision = await self.table.wait_beyond(revision)
                await socket.send_text(msgspec.json.encode(wire.LocksEvent(event="locks", revision=revision)).decode())
        except (WebSocketDisconnect, RuntimeError, OSError):
            return

    def routes(self) -> list[BaseRoute]:
        calls: dict[str, Endpoint] = {
            wire.HELLO_PATH: self.hello,
            wire.LOCKS_PATH: self.locks,
            wire.AUTHENTICATE_PATH: self.authenticate,
            wire.CHANGE_PIN_PATH: self.change_pin,
            wire.REVEAL_PATH: self.reveal,
            wire.CANCEL_PATH: self.cancel,
            wire.DIAGNOSIS_PATH: self.diagnosis,
        }
        found: list[BaseRoute] = [Route(path, self.endpoint(call), methods=["POST"]) for path, call in calls.items()]
        return [*found, WebSocketRoute(wire.EVENTS_PATH, self.events)]


async def _left(request: Request) -> None:
    """Return when the browser has closed the connection of a request whose body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def application(
    routes: list[BaseRoute], *, opened: Callable[[], Awaitable[None]], closed: Callable[[], Awaitable[None]]
) -> Starlette:
    """Put the routes together; ``opened`` and ``closed`` run in the service's own loop."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await opened()
        yield
        await closed()

    async def not_found(request: Request, _: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
        return refusal_reply(Refusal(Reason.NOT_FOUND, "no such call"))

    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: not_found, 405: not_found})
