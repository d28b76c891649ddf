"""The driver's own window: PIN entry where no script of the site can see it.

A page posts a form into a pop-up. That is a top-level navigation, so the browser itself attests the ``Origin`` and asks for no
local-network permission. The window says who asks and for what, takes the PIN, and hands the answer to exactly that origin by
``postMessage``. Needs of the opening page: docs/protocol.md, "PinWindow mode".
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from calock.agent import signing
from calock.agent.backends.base import Consent
from calock.agent.guard import ORIGIN_KEY
from calock.agent.pages import page, static_route
from calock.agent.replies import json_reply, read_body, read_message
from calock.agent.service import Service
from calock.agent.statements import check_statement, in_words, purpose_in_words
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire

TICKET_SECONDS = 600.0
MAX_TICKETS = 16
"""Per origin: a page that opens more windows than that loses the oldest."""
_STATE = re.compile(r"[A-Za-z0-9_-]{16,128}")
_FINAL = frozenset({Reason.CHALLENGE_MALFORMED, Reason.SESSION_ENDED, Reason.OPERATION_CANCELLED})
"""Refusals after which this window is of no more use."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One window: whom it serves and what for."""

    origin: str
    challenge: str
    state: str
    lock: str
    expires: float


class _WithTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ticket: str


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ticket: str
    statement: str


class _InWords(msgspec.Struct, frozen=True):
    text: str


class _Sign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    ticket: str
    lock: str
    pin: str
    as_typed: bool = False
    use_last_try: bool = False


class Tickets:
    """Open windows. A ticket dies by its answer, by being cancelled, or by age."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, Ticket] = {}

    def issue(self, origin: str, request: wire.WindowRequest) -> str:
        now = self._clock()
        self._open = {key: ticket for key, ticket in self._open.items() if ticket.expires > now}
        mine = [key for key, ticket in self._open.items() if ticket.origin == origin]
        for key in mine[: max(0, len(mine) - MAX_TICKETS + 1)]:
            del self._open[key]
        key = secrets.token_urlsafe(32)
        self._open[key] = Ticket(origin, request.challenge, request.state, request.lock, now + TICKET_SECONDS)
        return key

    def get(self, key: str) -> Ticket:
        """Look at a ticket.

        Raises:
            Refusal: SESSION_ENDED.
        """
        ticket = self._open.get(key)
        if ticket is None or ticket.expires <= self._clock():
            raise Refusal(Reason.SESSION_ENDED, "this window was used or is too old")
        return ticket

    def take(self, key: str) -> Ticket:
        """Look at a ticket and spend it; ``put_back`` undoes that after a wrong PIN."""
        ticket = self.get(key)
        del self._open[key]
        return ticket

    def put_back(self, key: str, ticket: Ticket) -> None:
        self._open[key] = ticket


class PinWindow:
    """Endpoints of the window; all but the first are called by its own page only (``calock.agent.guard``)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.tickets = Tickets()

    async def open(self, request: Request) -> Response:
        """Answer the form post of an allowed page with the window."""
        origin: str = request.scope[ORIGIN_KEY]
        asked = _form(bytes(await read_body(request)))
        self._service.require_rate(origin)
        return page(
            "window.html",
            host=urlsplit(origin).netloc,
            origin=origin,
            purpose=purpose_in_words(asked.challenge),
            state=asked.state,
            lock=asked.lock,
            ticket=self.tickets.issue(origin, asked),
        )

    async def statement(self, request: Request) -> Response:
        """Say in words what is signed. One that is not the challenge's ends the window: no PIN is tried."""
        message = await read_message(request, _Statement)
        ticket = self.tickets.get(message.ticket)
        try:
            said = check_statement(message.statement, challenge=ticket.challenge, origin=ticket.origin)
        except Refusal:
            self.tickets.take(message.ticket)
            raise
        return json_reply(_InWords(in_words(said)))

    async def locks(self, request: Request) -> Response:
        ticket = self.tickets.get((await read_message(request, _WithTicket)).ticket)
        await self._service.table.refresh()
        return json_reply(self._service.table.view(ticket.origin))

    async def sign(self, request: Request) -> Response:
        message = await read_message(request, _Sign)
        ticket = self.tickets.take(message.ticket)
        try:
            self._service.require_rate(ticket.origin)
            asked = wire.AuthenticateRequest(
                lock=message.lock, challenge=ticket.challenge, pin=message.pin, as_typed=message.as_typed
            )
            operation = self._service.operations.authenticate(ticket.origin, asked, consent=_consent(message.use_last_try))
            answer = await self._service.while_asked(request, operation)
        except Refusal as refusal:
            if refusal.reason not in _FINAL:
                self.tickets.put_back(message.ticket, ticket)
            raise
        answer = self._service.with_proof(request, ticket.origin, ticket.challenge, answer)
        return json_reply(wire.WindowAnswer(type=wire.WINDOW_MESSAGE, state=ticket.state, answer=answer))

    async def reveal(self, request: Request) -> Response:
        """Show what a lock hides before a PIN; the window's list is read anew."""
        message = await read_message(request, _Sign)
        ticket = self.tickets.get(message.ticket)
        self._service.require_rate(ticket.origin)
        asked = wire.RevealRequest(lock=message.lock, pin=message.pin, as_typed=message.as_typed)
        operation = self._service.operations.reveal(ticket.origin, asked, consent=_consent(message.use_last_try))
        await self._service.while_asked(request, operation)
        return json_reply(self._service.table.view(ticket.origin))

    async def cancel(self, request: Request) -> Response:
        ticket = self.tickets.take((await read_message(request, _WithTicket)).ticket)
        error = wire.DriverError(reason=Reason.PIN_CANCELLED)
        return json_reply(wire.WindowAnswer(type=wire.WINDOW_MESSAGE, state=ticket.state, error=error))

    def routes(self) -> list[BaseRoute]:
        wrap = self._service.endpoint
        return [
            Route(wire.WINDOW_PATH, wrap(self.open), methods=["POST"]),
            Route("/window/statement", wrap(self.statement), methods=["POST"]),
            Route("/window/locks", wrap(self.locks), methods=["POST"]),
            Route("/window/sign", wrap(self.sign), methods=["POST"]),
            Route("/window/reveal", wrap(self.reveal), methods=["POST"]),
            Route("/window/cancel", wrap(self.cancel), methods=["POST"]),
            static_route(wrap),
        ]


def _consent(use_last_try: bool) -> Consent:
    return "released" if use_last_try else "window"


def _form(body: bytes) -> wire.WindowRequest:
    """Read the form: each field once, nothing else.

    Raises:
        Refusal: REQUEST_MALFORMED, CHALLENGE_MALFORMED.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8)
        asked = msgspec.convert(dict(pairs), wire.WindowRequest)
    except (ValueError, msgspec.ValidationError) as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "a form with challenge, state and perhaps lock") from error
    if len(dict(pairs)) != len(pairs):
        raise Refusal(Reason.REQUEST_MALFORMED, "a field stands there twice")
    if not _STATE.fullmatch(asked.state) or len(asked.lock) > 64:
        raise Refusal(Reason.REQUEST_MALFORMED, "state: 16 to 128 of A-Z a-z 0-9 - _")
    signing.check_challenge(asked.challenge)
    return asked
