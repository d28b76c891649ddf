"""The two things a page may ask of a lock, one at a time: an answer to a challenge, and a new PIN."""

from __future__ import annotations

import base64
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from calock import __version__
from calock.agent import pipe, signing
from calock.agent.locks import ListedCertificate, LockTable, pin_info, printable
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire
from calock.wire.token import FORMAT, AuthToken

log = logging.getLogger("calock.agent.operations")


class Operations:
    """One operation at a time over all pages and modules: a second one is refused at once, never queued behind a PIN."""

    def __init__(self, table: LockTable) -> None:
        self.table = table
        self.reasons: Counter[str] = Counter()
        self._busy = False

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._busy:
            raise Refusal(Reason.DRIVER_BUSY, "another operation is under way")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False
            self.table.changed()  # tries left, default mark: the pages should see them

    async def authenticate(self, origin: str, request: wire.AuthenticateRequest) -> wire.AuthenticateReply:
        """Sign ``request.challenge`` for ``origin``, which is what the browser attested.

        Raises:
            Refusal: DRIVER_BUSY, CHALLENGE_MALFORMED, LOCK_UNKNOWN, LOCK_REMOVED, LOCK_CHANGED, PIN_*, MODULE_FAILED,
                LOCK_SIGNATURE_WRONG.
        """
        async with self._alone():
            signing.check_challenge(request.challenge)
            entry = self.table.resolve(origin, request.lock)
            signing_input = signing.prepare(entry.certificate, origin=origin, challenge=request.challenge)
            pin = bytearray(request.pin.encode())
            try:
                signature = await entry.module.authenticate(
                    pipe.Authenticate(
                        id=entry.module.next_id(),
                        key=entry.record.key,
                        certificate=entry.record.certificate,
                        origin=origin,
                        challenge=request.challenge,
                        pin=pin,
                        use_last_try=request.use_last_try,
                    )
                )
            finally:
                pipe.wipe(pin)
            signing.require_good_signature(entry.certificate, signing_input, signature)
            log.info("one answer given, %s", signing_input.algorithm)
            return _answer(entry, signing_input.algorithm, signature)

    async def change_pin(self, origin: str, request: wire.ChangePinRequest) -> wire.PinChanged:
        """Change the PIN in place; refusals as for ``authenticate``."""
        async with self._alone():
            entry = self.table.resolve(origin, request.lock)
            old, new = bytearray(request.old_pin.encode()), bytearray(request.new_pin.encode())
            try:
                await entry.module.change_pin(
                    pipe.ChangePin(
                        id=entry.module.next_id(), key=entry.record.key, old=old, new=new, use_last_try=request.use_last_try
                    )
                )
            finally:
                pipe.wipe(old, new)
            log.info("one PIN changed")
        await self.table.refresh()
        return wire.PinChanged(pin=pin_info(self.table.resolve(origin, request.lock)))


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
