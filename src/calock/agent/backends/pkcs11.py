"""Backend for PKCS#11 libraries, by python-pkcs11 (PKCS#11 2.40).

Each listing loads the library anew (C_Initialize … C_Finalize): several vendor libraries show a lock plugged in later only then.
Every operation opens its own session and logs out, so that no PIN state outlives it.

PKCS#11 has no SM2 before 3.2; vendors use mechanisms of their own (``sm2_mechanisms``). What a library signs is verified against
the certificate by the driver, because asking an SM2 key for CKM_ECDSA silently gives ECDSA.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, Mechanism, ObjectClass, TokenFlag
from pkcs11 import exceptions as errors

from calock.agent.backends import base, sm2_mechanisms
from calock.agent.backends.base import Listing, LockRecord, PinState
from calock.agent.backends.skf.module_file import why_not_loadable
from calock.agent.signing import SigningInput
from calock.core.libcrypto import der_to_raw
from calock.core.refusals import Reason, Refusal

MAX_CERTIFICATES = 16
"""Per token."""
MAX_CERTIFICATE = 64 * 1024

_ERRORS: dict[type[Exception], Reason] = {
    errors.PinIncorrect: Reason.PIN_WRONG,
    errors.PinLocked: Reason.PIN_LOCKED,
    errors.PinLenRange: Reason.PIN_LENGTH,
    errors.PinInvalid: Reason.PIN_LENGTH,
    errors.PinExpired: Reason.PIN_LOCKED,
    errors.DeviceRemoved: Reason.LOCK_REMOVED,
    errors.TokenNotPresent: Reason.LOCK_REMOVED,
    errors.TokenNotRecognised: Reason.LOCK_REMOVED,
    errors.SlotIDInvalid: Reason.LOCK_REMOVED,
    errors.SessionHandleInvalid: Reason.LOCK_REMOVED,
    errors.FunctionCancelled: Reason.PIN_CANCELLED,
}


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """Turn the library's errors into refusals."""
    try:
        yield
    except errors.PKCS11Error as error:
        reason = next((reason for kind, reason in _ERRORS.items() if isinstance(error, kind)), Reason.MODULE_FAILED)
        raise Refusal(reason, f"PKCS#11 {type(error).__name__}") from error


class Pkcs11Backend:
    """All tokens of one PKCS#11 library.

    Raises:
        Refusal: MODULE_FAILED; the detail says whether the file is missing, for another architecture, or refuses to start.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._library: Any = pkcs11.lib(str(path))
        except (errors.PKCS11Error, RuntimeError, OSError) as error:
            raise Refusal(Reason.MODULE_FAILED, why_not_loadable(str(path), OSError(str(error)))) from error
        self._first = True

    def _tokens(self) -> list[Any]:
        if not self._first:
            self._library.reinitialize()
        self._first = False
        found = []
        for slot in self._library.get_slots(token_present=True):
            with contextlib.suppress(errors.PKCS11Error):  # pulled out while we look
                token = slot.get_token()
                if TokenFlag.TOKEN_INITIALIZED in token.flags:
                    found.append(token)
        return found

    def list_locks(self) -> Listing:
        locks: list[LockRecord] = []
        problems: list[str] = []
        with _refusing():
            for token in self._tokens():
                try:
                    records = self._records(token)
                except errors.PKCS11Error as error:
                    if not isinstance(error, (errors.DeviceRemoved, errors.TokenNotPresent)):
                        problems.append(Reason.MODULE_FAILED)
                    continue
                if not records:
                    problems.append(Reason.LOCK_WITHOUT_CERTIFICATE)
                locks += records
        return Listing(locks=tuple(locks), problems=tuple(problems))

    def _records(self, token: Any) -> list[LockRecord]:
        """Read the certificates of one token; those that have a private key beside them when the token shows its keys."""
        device = _device(token)
        records = []
        with token.open() as session:
            keys = {bytes(key[Attribute.ID]) for key in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})}
            keys |= {bytes(key[Attribute.ID]) for key in session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})}
            for key_id, der in _certificates(session):
                if keys and key_id not in keys:
                    continue  # a CA's certificate, or one whose key is elsewhere
                records.append(
                    LockRecord(
                        key=f"{device}/{key_id.hex()}/{hashlib.sha256(der).hexdigest()[:16]}",
                        device=device,
                        certificate=der,
                        serial=_text(token.serial),
                        label=_text(token.label),
                        manufacturer=_text(token.manufacturer_id),
                        pin=_pin_state(token),
                    )
                )
        return records

    def _token(self, key: str) -> Any:
        device = key.split("/", maxsplit=1)[0]
        for token in self._tokens():
            if _device(token) == device:
                return token
        raise Refusal(Reason.LOCK_REMOVED, "the lock was pulled out")

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, use_last_try: bool) -> bytes:
        with _refusing():
            token = self._token(key)
            key_id = bytes.fromhex(key.split("/")[1])
            with token.open() as session:
                found = [der for identifier, der in _certificates(session) if identifier == key_id]
            base.require_same_certificate(certificate if certificate in found else b"", certificate)
            base.require_try_allowed(pin, _pin_state(token), use_last_try=use_last_try)
            with self._login(token, pin) as session:
                private = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=key_id)
                return _sign(private, signing_input, _text(token.manufacturer_id))

    @contextlib.contextmanager
    def _login(self, token: Any, pin: bytearray, *, write: bool = False) -> Iterator[Any]:
        """Log in once; after a wrong PIN, say how many tries are left as far as the token tells."""
        try:
            session = token.open(user_pin=pin.decode(), rw=write)
        except errors.PinIncorrect as error:
            state = _pin_state(self._fresh(token))
            if state.locked:
                raise Refusal(Reason.PIN_LOCKED, "PKCS#11 PinLocked", {"tries_left": 0}) from error
            facts = {"tries_left": 1} if state.last_try else {}
            raise Refusal(Reason.PIN_WRONG, "PKCS#11 PinIncorrect", facts) from error
        with session:  # closing the only session logs out (PKCS#11 2.40 clause 5.6, C_CloseSession)
            yield session

    def _fresh(self, token: Any) -> Any:
        try:
            return token.slot.get_token()
        except errors.PKCS11Error:
            return token

    def change_pin(self, key: str, *, old: bytearray, new: bytearray, use_last_try: bool) -> None:
        with _refusing():
            token = self._token(key)
            state = _pin_state(token)
            base.require_length(new, state)
            base.require_try_allowed(old, state, use_last_try=use_last_try)
            with self._login(token, old, write=True) as session:
                session.set_pin(old.decode(), new.decode())

    def fingerprint(self) -> str:
        try:
            return "\n".join(f"{slot.slot_id} {_device(slot.get_token())}" for slot in self._library.get_slots(token_present=True))
        except errors.PKCS11Error as error:
            return type(error).__name__

    def watch(self, notify: Callable[[], None]) -> bool:  # noqa: ARG002 - the protocol's
        """C_WaitForSlotEvent blocks other calls in many libraries: polled instead."""
        return False

    def close(self) -> None:
        with contextlib.suppress(errors.PKCS11Error):
            self._library.finalize()


def _device(token: Any) -> str:
    """Name a token by what it is, not by its slot: slots are renumbered when another lock is plugged in."""
    return hashlib.sha256(b"\0".join((token.serial, token.label.encode(), str(token.manufacturer_id).encode()))).hexdigest()[:16]


def _text(value: Any) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0 ")


def _pin_state(token: Any) -> PinState:
    """PKCS#11 tells no numbers, only three warnings."""
    flags = token.flags
    return PinState(
        locked=TokenFlag.USER_PIN_LOCKED in flags,
        last_try=TokenFlag.USER_PIN_FINAL_TRY in flags,
        default=TokenFlag.USER_PIN_TO_BE_CHANGED in flags,
    )


def _certificates(session: Any) -> list[tuple[bytes, bytes]]:
    """(CKA_ID, DER) of each X.509 certificate, bounded."""
    found = []
    for index, item in enumerate(session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE})):
        if index >= MAX_CERTIFICATES:
            break
        der = bytes(item[Attribute.VALUE])
        if len(der) <= MAX_CERTIFICATE:
            found.append((bytes(item[Attribute.ID]), der))
    return found


def _sign(private: Any, signing_input: SigningInput, manufacturer: str) -> bytes:
    if signing_input.algorithm == "RS256":
        return bytes(private.sign(signing_input.e, mechanism=Mechanism.RSA_PKCS))
    if signing_input.algorithm != "SM2":
        return bytes(private.sign(signing_input.e, mechanism=Mechanism.ECDSA))
    signature = bytes(private.sign(signing_input.e, mechanism=sm2_mechanisms.mechanism_for(manufacturer)))
    if len(signature) != 64 and signature[:1] == b"\x30":
        with contextlib.suppress(ValueError, OverflowError):
            return der_to_raw(signature)
    return signature
