"""The server's outermost part: it reads requests in one event loop and hands complete ones to Django's threads.

A client that sends a body slowly, or reads an answer slowly, holds a connection and nothing else: a thread is taken when the whole
body is there, and given back before the answer travels. The probes of balancers are answered here, beside everybody's requests.
Interface: RSGI, granian's own (docs/decisions/serving.md has the figures that chose it).
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, BinaryIO

from django.conf import settings

from calock.core.refusals import Reason
from calock.server.jobs.health import WARNING
from calock.server.process import access_log, routes
from calock.server.process.bodies import BodyError, StreamedBody, give_up_late_ones, read_body
from calock.server.process.bulkheads import FullError
from calock.server.process.wsgi_bridge import Answer, Application, Environ, Headers, HeadersError, ask, environ_of
from calock.server.tools import figures, request_id
from calock.server.tools.throttle import address_key
from calock.server.web.client_address import client_address

COME_AGAIN = 2
"""Seconds after which a request that found no room may be sent again."""
PROBE_PATIENCE = 3.0
"""Seconds that ``/readyz`` waits for what it asks the database."""
OPENED_BY = 10.0
"""Seconds within which granian has opened the file that it was told to send; it does so at once."""
TIDY_EVERY = 0.25
PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]

log = logging.getLogger("calock.server")


def _plain(protocol: Any, status: int, lines: list[str], *more: tuple[str, str]) -> None:
    headers: Headers = [*PLAIN, *more]
    protocol.response_bytes(status, headers, "".join(f"{line}\n" for line in lines).encode())


class _Request:
    """One request on its way through the threads. Everything but ``__init__`` happens in one of them."""

    __slots__ = ("began", "body", "gateway", "kind", "length", "protocol", "scope")

    def __init__(self, gateway: Gateway, kind: str, scope: Any, protocol: Any, *, body: BinaryIO, length: int | None) -> None:
        self.gateway, self.scope, self.protocol, self.body, self.length = gateway, scope, protocol, body, length
        self.kind, self.began = kind, time.monotonic()

    def answer(self, marks: Environ | None = None) -> int:
        """Ask the application, and send what it answers; the status. ``marks`` are added to what it is told."""
        number = request_id.new_request_id(self.scope.headers.get("traceparent") or "")
        request_id.begin(number)
        figures.queue_seconds.labels(self.kind).observe(time.monotonic() - self.began)
        status = 500
        try:
            environ = environ_of(self.scope, self.body, self.length)
            if marks:
                environ |= marks
            answer = ask(self.gateway.application, environ)
            answer.headers.append((request_id.HEADER, number))
            status = answer.status
            self.gateway.send(self.protocol, answer)
        except HeadersError as error:
            status = error.status
            _plain(self.protocol, status, [str(error)], ("Connection", "close"), (request_id.HEADER, number))
        except BaseException:
            log.exception("a request was not answered")
            _plain(self.protocol, 500, ["failed"], (request_id.HEADER, number))
        self._told(status, number)
        request_id.begin("")
        return status

    def say_busy(self) -> None:
        """The site's own page that says so."""
        figures.busy.labels(self.kind).inc()
        self.answer({"calock.refused": Reason.SERVER_BUSY, "calock.retry_after": COME_AGAIN})

    def say_busy_in_a_line(self) -> None:
        """Where there is no thread even for the page."""
        _plain(self.protocol, 503, ["busy, please try again"], ("Retry-After", str(COME_AGAIN)))
        self._told(503, "")

    def _told(self, status: int, number: str) -> None:
        """Count an answer, and write its line."""
        seconds = time.monotonic() - self.began
        figures.requests.labels(self.kind, f"{status // 100}xx").inc()
        figures.request_seconds.labels(self.kind).observe(seconds)
        if settings.CALOCK.access_log:
            access_log.write(
                method=self.scope.method,
                host=self.scope.headers.get("host") or "",
                path=self.scope.path,
                status=status,
                seconds=seconds,
                address=self.address(),
                kind=self.kind,
                request=number,
            )

    def address(self) -> str:
        forwarded = self.scope.headers.get("x-forwarded-for") or ""
        return address_key(client_address(self.scope.client.rpartition(":")[0].strip("[]"), forwarded).ip)

    def shares(self) -> tuple[str, ...]:
        return routes.shares_of(self.address(), self.scope.headers.get("cookie") or "")


class Gateway:
    """The RSGI application. ``readiness`` is asked, in a thread of its own, for the lines of ``/readyz``."""

    def __init__(self, application: Application, readiness: Callable[[], list[str]]) -> None:
        self.application = application
        self.draining = False
        """Told to end: ``/readyz`` says so, requests are still answered."""
        self._readiness = readiness
        self._bulkheads = routes.make_bulkheads()
        self._looking: asyncio.Future[list[str]] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._answered: deque[asyncio.Future[None]] = deque()
        """Requests whose answer was sent by a thread, and whose coroutines can end when the loop is awake anyway."""

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tidy_now_and_then()

    def _tidy_now_and_then(self) -> None:
        self._tidy()
        give_up_late_ones()
        self._loop.call_later(TIDY_EVERY, self._tidy_now_and_then)

    def _tidy(self) -> None:
        while self._answered:
            self._answered.popleft().set_result(None)

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """One request."""
        self._tidy()
        if scope.path == "/healthz":
            _plain(protocol, 200, ["ok"])
        elif scope.path == "/readyz":
            lines = await self._ready()
            ready = all(line.startswith(WARNING) for line in lines)
            _plain(protocol, 200 if ready else 503, ["ok", *lines] if ready else lines)
        else:
            await self._serve(scope, protocol)

    async def _ready(self) -> list[str]:
        """The lines of problems; however many ask, one thread looks."""
        if self.draining:
            return ["draining"]
        if self._looking is None or self._looking.done():
            self._looking = self._loop.run_in_executor(None, self._readiness)
        done, _ = await asyncio.wait([self._looking], timeout=PROBE_PATIENCE)
        return self._looking.result() if done else ["database: no answer"]

    async def _serve(self, scope: Any, protocol: Any) -> None:
        body: BinaryIO = io.BytesIO()
        length, streamed = None, False
        if scope.method not in ("GET", "HEAD"):
            try:
                body, length, streamed = await self._body(scope, protocol)
            except BodyError as error:
                _plain(protocol, error.status, [str(error)], ("Connection", "close"))
                return
        kind = routes.bulkhead_of(scope.method, scope.path, scope.headers.get("cookie") or "", streamed=streamed)
        request = _Request(self, kind, scope, protocol, body=body, length=length)
        answered = self._loop.create_future()
        self._hand_over(request, answered)
        await answered

    def _hand_over(self, request: _Request, answered: asyncio.Future[None]) -> None:
        """Give a request to the threads of one bulkhead; one that finds no room is told so, by a thread of its own if possible."""

        def run() -> bool:
            status = request.answer()
            self._answered.append(answered)
            return status != HTTPStatus.UNAUTHORIZED  # a wrong password: other refusals cost no hash

        def refuse() -> bool:
            request.say_busy()
            self._answered.append(answered)
            return True

        def refuse_at_once() -> None:
            request.say_busy_in_a_line()
            self._answered.append(answered)

        try:
            self._bulkheads[request.kind].submit(run, refuse, request.shares)
        except FullError:
            try:
                self._bulkheads["refusals"].submit(refuse, refuse_at_once, request.shares)
            except FullError:
                refuse_at_once()

    async def _body(self, scope: Any, protocol: Any) -> tuple[BinaryIO, int | None, bool]:
        """The body, its length, and whether it is still on its way (an operator's upload).

        Raises:
            BodyError: it is not accepted.
        """
        said = scope.headers.get("content-length")
        if said is not None and scope.headers.get("transfer-encoding") is not None:
            raise BodyError(400, "a body has one length")
        length = int(said) if said is not None else None
        if length is not None and length > routes.MAX_BODY and routes.is_upload(scope.path):
            return io.BufferedReader(StreamedBody(protocol, self._loop)), length, True
        body = await read_body(protocol, length)
        return io.BytesIO(body), len(body), False

    def send(self, protocol: Any, answer: Answer) -> None:
        """Hand an answer to granian, which sends it; called in a thread."""
        if answer.descriptor is None:
            protocol.response_bytes(answer.status, answer.headers, answer.body)
        else:
            path = f"/dev/fd/{answer.descriptor}"
            protocol.response_file_range(answer.status, answer.headers, path, answer.start, answer.stop)
            self._loop.call_soon_threadsafe(self._loop.call_later, OPENED_BY, os.close, answer.descriptor)
