"""What a page or the driver's own window may ask of a token, one at a time: an answer to a challenge, a new PIN, a look inside."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from calock import __version__
from calock.agent import pipe, signing
from calock.agent.backends.base import Consent
from calock.agent.locks import ListedCertificate, LockTable, pin_info, printable
from calock.agent.pin_policy import WrongPins, require_plain_characters
from calock.agent.statements import check_statement
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire
from calock.wire.token import FORMAT, AuthToken

log = logging.getLogger("calock.agent.operations")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Running:
    origin: str
    asker: asyncio.Task[Any] | None
    """The task that waits for it: that of one request."""
    task: asyncio.Task[Any]


class Operations:
    """One operation at a time over all pages and modules: a second one is refused at once, never queued behind a PIN."""

    def __init__(self, table: LockTable) -> None:
        self.table = table
        self.reasons: Counter[str] = Counter()
        self.wrong_pins = WrongPins()
        self._running: _Running | None = None

    def cancel(self, origin: str) -> bool:
        """End the operation that ``origin`` asked for, if one is under way: its caller gets OPERATION_CANCELLED.

        The worker is killed, because a call into a vendor library cannot be interrupted. A PIN may have been tried by then.
        """
        if self._running is None or self._running.origin != origin:
            return False
        return self._running.task.cancel()

    def give_up(self, asker: asyncio.Task[Any]) -> None:
        """The same for the operation that ``asker`` waits for; one of another tab of the same origin goes on."""
        if self._running is not None and self._running.asker is asker:
            self._running.task.cancel()

    async def authenticate(
        self, origin: str, request: wire.AuthenticateRequest, *, consent: Consent = "page"
    ) -> wire.AuthenticateReply:
        """Sign ``request.challenge`` for ``origin``, which is what the browser attested.

        Raises:
            Refusal: DRIVER_BUSY, CHALLENGE_MALFORMED, LOCK_UNKNOWN, LOCK_REMOVED, LOCK_CHANGED, LOCKS_ALIKE, LOCK_WITHOUT_KEY,
                PIN_*, MODULE_*, LOCK_SIGNATURE_WRONG, OPERATION_CANCELLED.
        """
        return await self._alone(origin, self._authenticate(origin, request, consent), consent)

    async def _authenticate(self, origin: str, request: wire.AuthenticateRequest, consent: Consent) -> wire.AuthenticateReply:
        signing.check_challenge(request.challenge)
        if request.statement:
            check_statement(request.statement, challenge=request.challenge, origin=origin)
        entry = self.table.resolve(origin, request.lock)
        signing_input = signing.prepare(entry.certificate, origin=origin, challenge=request.challenge)
        on_reader = entry.record.pin.on_reader
        pin = _pin(request.pin, on_reader=on_reader, as_typed=request.as_typed)
        try:
            signature = await entry.module.authenticate(
                pipe.Authenticate(
                    id=entry.module.next_id(),
                    key=entry.record.key,
                    certificate=entry.record.certificate,
                    origin=origin,
                    challenge=request.challenge,
                    pin=pin,
                    consent=consent,
                ),
                on_reader=on_reader,
            )
        finally:
            pipe.wipe(pin)
        signing.require_good_signature(entry.certificate, signing_input, signature)
        log.info("one answer given, %s", signing_input.algorithm)
        return _answer(entry, signing_input.algorithm, signature)

    async def change_pin(self, origin: str, request: wire.ChangePinRequest, *, consent: Consent = "page") -> wire.PinChanged:
        """Change the PIN in place; refusals as for ``authenticate``."""
        await self._alone(origin, self._change_pin(origin, request, consent), consent)
        await self.table.refresh()
        return wire.PinChanged(pin=pin_info(self.table.resolve(origin, request.lock).record.pin))

    async def _change_pin(self, origin: str, request: wire.ChangePinRequest, consent: Consent) -> None:
        entry = self.table.resolve(origin, request.lock)
        on_reader = entry.record.pin.on_reader
        old = _pin(request.old_pin, on_reader=on_reader, as_typed=request.as_typed)
        new = _pin(request.new_pin, on_reader=on_reader, as_typed=False)
        try:
            await entry.module.change_pin(
                pipe.ChangePin(
                    id=entry.module.next_id(),
                    key=entry.record.key,
                    certificate=entry.record.certificate,
                    old=old,
                    new=new,
                    consent=consent,
                ),
                on_reader=on_reader,
            )
        finally:
            pipe.wipe(old, new)
        log.info("one PIN changed")

    async def reveal(self, origin: str, request: wire.RevealRequest, *, consent: Consent = "page") -> None:
        """Read the certificates that a token hides; the list has them afterwards. Refusals as for ``authenticate``."""
        await self._alone(origin, self._reveal(origin, request, consent), consent)
        await self.table.refresh()

    async def _reveal(self, origin: str, request: wire.RevealRequest, consent: Consent) -> None:
        module, hidden = self.table.resolve_hidden(origin, request.lock)
        pin = _pin(request.pin, on_reader=hidden.pin.on_reader, as_typed=request.as_typed)
        try:
            await module.reveal(
                pipe.Reveal(id=module.next_id(), device=hidden.device, pin=pin, consent=consent), on_reader=hidden.pin.on_reader
            )
        finally:
            pipe.wipe(pin)

    async def _alone(self, origin: str, work: Coroutine[Any, Any, T], consent: Consent) -> T:
        """Run the one operation there may be, and keep count of wrong PINs."""
        if self._running is not None:
            work.close()
            raise Refusal(Reason.DRIVER_BUSY, "another operation is under way")
        if consent == "page" and self.wrong_pins.window_only(origin):
            work.close()
            raise Refusal(Reason.PIN_WINDOW_ONLY, "two wrong PINs in a row came from this page")
        task = asyncio.ensure_future(work)
        self._running = _Running(origin, asyncio.current_task(), task)
        try:
            done = await self._uncancelled(task)
        except Refusal as refusal:
            if consent == "page":
                self.wrong_pins.note_failed(origin, refusal)
            raise
        finally:
            self._running = None
            self.table.changed()  # tries left, default mark: the pages should see them
        self.wrong_pins.note_right(origin)
        return done

    @staticmethod
    async def _uncancelled(task: asyncio.Task[T]) -> T:
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():  # the driver itself ends
                raise
            raise Refusal(Reason.OPERATION_CANCELLED, "ended by the page that asked for it") from None


def _pin(text: str, *, on_reader: bool, as_typed: bool) -> bytearray:
    """Return the PIN as it goes to the worker; none where it is typed on the reader.

    Raises:
        Refusal: PIN_CHARACTERS, unless the user said that it was meant as typed.
    """
    if on_reader:
        return bytearray()
    if not as_typed:
        require_plain_characters(text)
    return bytearray(text.encode())


def _answer(entry: ListedCertificate, algorithm: str, signature: bytes) -> wire.AuthenticateReply:
    token = AuthToken(
        format=FORMAT,
        unverified_certificate=base64.b64encode(entry.certificate.der).decode(),
        algorithm=algorithm,
        signature=base64.b64encode(signature).decode(),
        app_version=f"calock/{__version__}",
    )
    record = entry.record
    device = wire.ReportedDevice(
        serial=printable(record.serial, 64), label=printable(record.label, 64), manufacturer=printable(record.manufacturer, 64)
    )
    return wire.AuthenticateReply(token=token, device=device)
