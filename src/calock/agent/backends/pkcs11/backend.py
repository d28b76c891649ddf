"""Backend for PKCS#11 libraries, by python-pkcs11 (PKCS#11 2.40).

Each listing loads the library anew (C_Initialize … C_Finalize): several vendor libraries show a token plugged in later only then.
Every operation opens its own session and logs out, so that no PIN state outlives it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import exceptions as errors
from pkcs11.types import PROTECTED_AUTH

from calock.agent.backends import base
from calock.agent.backends.base import Consent, Listing, LockRecord, PinState, TokenProblem
from calock.agent.backends.module_file import load_refusal
from calock.agent.backends.pkcs11 import objects, signatures
from calock.agent.backends.pkcs11.objects import StoredCertificate, TokenObjects
from calock.agent.backends.pkcs11.reader import ReaderCalls
from calock.agent.backends.pkcs11.reasons import reason_of, refusing
from calock.agent.backends.pkcs11.tokens import PresentToken, may_hide_objects, named, pin_state, present_tokens
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal

_GONE = (errors.DeviceRemoved, errors.TokenNotPresent)


class Pkcs11Backend:
    """All tokens of one PKCS#11 library.

    Raises:
        Refusal: MODULE_MISSING, MODULE_ARCHITECTURE, MODULE_FAILED (it is no PKCS#11 library, or refuses to start).
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library: Any = pkcs11.lib(str(path))
        except (errors.PKCS11Error, RuntimeError, OSError) as error:
            raise load_refusal(str(path), OSError(str(error))) from error
        self._path = str(path)
        self._first = True
        self._revealed: dict[str, TokenObjects] = {}
        """What tokens showed after a login, by device, as long as they stay plugged in."""
        self._wrong: set[str] = set()
        """Devices in which a wrong PIN was tried since the last right one, and that do not tell."""

    @cached_property
    def _calls(self) -> ReaderCalls:
        """The same library once more. Where that cannot be had, only what needs it fails: most tokens do without."""
        return ReaderCalls(self._path)

    def _told_lengths(self, slot: int) -> tuple[int, int]:
        return self._calls.pin_lengths(slot)

    # --- listing

    def _present(self) -> list[PresentToken]:
        if not self._first:
            self._library.reinitialize()
        self._first = False
        tokens = present_tokens(self._library, self._told_lengths)
        self._forget_all_but(tokens)
        return [replace(token, wrong_before=token.device in self._wrong) for token in tokens]

    def _forget_all_but(self, tokens: list[PresentToken]) -> None:
        there = {token.device for token in tokens}
        self._revealed = {device: seen for device, seen in self._revealed.items() if device in there}
        self._wrong &= there

    def list_locks(self) -> Listing:
        locks: list[LockRecord] = []
        problems: list[TokenProblem] = []
        with refusing():
            for token in self._present():
                try:
                    records, problem = self._read(token)
                except errors.PKCS11Error as error:
                    records, problem = [], _listing_problem(error)
                locks += records
                if problem is not None:
                    problems.append(
                        TokenProblem(
                            reason=problem,
                            label=token.label,
                            serial=token.serial,
                            device=token.device if problem is Reason.LOCK_CERTIFICATE_HIDDEN else "",
                            pin=token.pin,
                        )
                    )
        return Listing(locks=tuple(locks), problems=tuple(problems))

    def _read(self, token: PresentToken) -> tuple[list[LockRecord], Reason | None]:
        """Read the certificates of one token that can be offered, and what its user should know of it."""
        with token.token.open() as session:
            seen = objects.read_objects(session)
        if not seen.certificates:
            seen = self._revealed.get(token.device, seen)
        best = seen.best_first()
        if best:
            cut = seen.cut or len(best) > objects.MAX_LISTED
            return [_record(token, stored) for stored in best[: objects.MAX_LISTED]], Reason.LOCK_LIST_CUT if cut else None
        if any(not stored.is_ca for stored in seen.certificates):
            return [], Reason.LOCK_WITHOUT_KEY
        hidden = token.device not in self._revealed and may_hide_objects(token.token)
        return [], Reason.LOCK_CERTIFICATE_HIDDEN if hidden else Reason.LOCK_WITHOUT_CERTIFICATE

    # --- operations

    @contextlib.contextmanager
    def _operating(self, name: str) -> Iterator[None]:
        """Turn the library's errors into refusals. Libraries have many codes for a token that was pulled out meanwhile."""
        with refusing():
            try:
                yield
            except errors.PKCS11Error as error:
                if reason_of(error) is not Reason.MODULE_FAILED or named(name.partition("/")[0], self._present()):
                    raise
                raise Refusal(Reason.LOCK_REMOVED, f"PKCS#11 {type(error).__name__}") from error

    def _holder(self, key: str, certificate: bytes) -> tuple[PresentToken, TokenObjects, StoredCertificate]:
        """Find the one token that holds a certificate, among those that say the same of themselves.

        Raises:
            Refusal: LOCK_REMOVED, LOCK_CHANGED, LOCKS_ALIKE: no PIN was tried.
        """
        device = key.partition("/")[0]
        candidates = named(device, self._present())
        if not candidates:
            raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")
        holders = []
        for token in candidates:
            with token.token.open() as session:
                seen = objects.read_objects(session)
            if not seen.certificates:
                seen = self._revealed.get(token.device, seen)
            if stored := seen.find(certificate):
                holders.append((token, seen, stored))
        if len(holders) > 1:
            raise Refusal(Reason.LOCKS_ALIKE, "several plugged-in locks say the same of themselves and hold this certificate")
        if not holders:
            there = any(token.device == device for token in candidates)
            raise Refusal(Reason.LOCK_CHANGED if there else Reason.LOCK_REMOVED, "no plugged-in lock holds this certificate")
        return holders[0]

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, consent: Consent) -> bytes:
        with self._operating(key):
            token, seen, stored = self._holder(key, certificate)
            if seen.has_key(stored) is False:
                raise Refusal(Reason.LOCK_WITHOUT_KEY, "the token shows its keys, and none is this certificate's")
            state = token.pin
            base.require_try_allowed(pin, state, consent=consent)
            with self._login(token, pin, state) as session:
                logged_in = objects.read_objects(session)
                if logged_in.find(certificate) is None:  # it was hidden before, and another token may have come in its place
                    raise Refusal(Reason.LOCK_CHANGED, "the certificate is not in this token")
                reader = self._calls if state.on_reader else None
                mechanism = signatures.mechanism_for(signing_input, token.manufacturer)
                signer = signatures.Signer(signing_input, mechanism, pin, reader)
                return signer.sign_with(logged_in.signing_keys(stored), Certificate.parse(certificate))

    def change_pin(self, key: str, *, certificate: bytes, old: bytearray, new: bytearray, consent: Consent) -> None:
        with self._operating(key):
            token, _, _ = self._holder(key, certificate)
            state = token.pin
            if not state.on_reader:
                base.require_new_length(new, state)
            base.require_try_allowed(old, state, consent=consent)
            if state.on_reader:
                with token.token.open(rw=True) as session:
                    self._calls.change_pin(session)
                return
            with self._login(token, old, state, write=True) as session:
                session.set_pin(old.decode(), new.decode())

    def reveal(self, device: str, *, pin: bytearray, consent: Consent) -> None:
        with self._operating(device):
            candidates = named(device, self._present())
            if not candidates:
                raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")
            if len(candidates) > 1:  # no certificate can prove which one is meant
                raise Refusal(Reason.LOCKS_ALIKE, "several plugged-in locks say the same of themselves")
            [token] = candidates
            state = token.pin
            base.require_try_allowed(pin, state, consent=consent)
            with self._login(token, pin, state) as session:
                seen = objects.read_objects(session)
            self._revealed[token.device] = seen.without_handles()

    @contextlib.contextmanager
    def _login(self, token: PresentToken, pin: bytearray, state: PinState, *, write: bool = False) -> Iterator[Any]:
        """Log in once; after a wrong PIN, say how many tries are left as far as the token tells."""
        try:
            session = self._logged_in(token, PROTECTED_AUTH if state.on_reader else pin.decode(), write=write)
        except (errors.PinIncorrect, errors.PinInvalid) as error:  # the second is for new PINs, and said of wrong ones
            state = pin_state(self._fresh(token.token), *token.pin_lengths)
            if state.locked:
                raise Refusal(Reason.PIN_LOCKED, "PKCS#11 PinLocked", {"tries_left": 0}) from error
            if not state.reserved:
                self._wrong.add(token.device)
            facts = {"tries_left": 1} if state.last_try else {}
            raise Refusal(Reason.PIN_WRONG, f"PKCS#11 {type(error).__name__}", facts) from error
        self._wrong.discard(token.device)
        try:
            yield session
        finally:
            self._log_out(session)

    def _log_out(self, session: Any) -> None:
        try:
            session.close()
        except errors.PKCS11Error:  # another program logged out meanwhile, or the library cannot: what was signed before is good
            with contextlib.suppress(errors.PKCS11Error, OSError):
                self._calls.close_session(session)

    def _logged_in(self, token: PresentToken, pin: Any, *, write: bool) -> Any:
        try:
            return self._opened(token, pin, write=write)
        except errors.UserAlreadyLoggedIn:
            # another program left the lock open: no PIN was verified by this call, and an open login must not replace it
            with token.token.open() as session, contextlib.suppress(errors.UserNotLoggedIn):  # it ended with the sessions
                self._calls.log_out(session)
            return self._opened(token, pin, write=write)

    def _opened(self, token: PresentToken, pin: Any, *, write: bool) -> Any:
        try:
            return token.token.open(user_pin=pin, rw=write)
        except errors.PKCS11Error:
            with contextlib.suppress(errors.PKCS11Error, OSError):
                self._calls.close_sessions(token.token.slot.slot_id)
            raise

    def _fresh(self, token: Any) -> Any:
        try:
            return token.slot.get_token()
        except errors.PKCS11Error:
            return token

    def fingerprint(self) -> str:
        try:
            tokens = present_tokens(self._library, self._told_lengths)
        except errors.PKCS11Error as error:
            return type(error).__name__
        self._forget_all_but(tokens)
        return "\n".join(f"{token.token.slot.slot_id} {token.name}" for token in tokens)

    def watch(self, notify: Callable[[], None]) -> bool:  # noqa: ARG002 - the protocol's
        """C_WaitForSlotEvent blocks other calls in many libraries: polled instead."""
        return False

    def close(self) -> None:
        with contextlib.suppress(errors.PKCS11Error):
            self._library.finalize()


def _listing_problem(error: errors.PKCS11Error) -> Reason | None:
    """What is told of a token that cannot be read; None: it was pulled out."""
    if isinstance(error, _GONE):
        return None
    return Reason.DRIVER_BUSY if reason_of(error) is Reason.DRIVER_BUSY else Reason.MODULE_FAILED


def _record(token: PresentToken, stored: StoredCertificate) -> LockRecord:
    return LockRecord(
        key=f"{token.device}/{hashlib.sha256(stored.der).hexdigest()[:32]}",
        device=token.device,
        certificate=stored.der,
        serial=token.serial,
        label=token.label,
        manufacturer=token.manufacturer,
        pin=token.pin,
    )
