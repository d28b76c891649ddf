"""What a token module can do, as the worker process sees it.

A backend is made and used by one thread of one worker process (``calock.agent.worker``), so it may block; the driver kills
the worker when a call takes too long. A backend never chooses what is signed: it gets a ``SigningInput`` that only
``calock.agent.signing`` builds.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from calock.agent.signing import SigningInput
from calock.core.refusals import Reason, Refusal

Kind = Literal["soft", "pkcs11", "skf"]


class PinState(msgspec.Struct, frozen=True, kw_only=True):
    """A lock's user PIN, read without trying it. ``tries_left`` None: the lock does not tell."""

    tries_left: int | None = None
    tries_max: int | None = None
    locked: bool = False
    default: bool = False
    last_try: bool = False
    """The lock tells no number, but says that one try is left (PKCS#11 CKF_USER_PIN_FINAL_TRY)."""
    min_length: int = 6
    max_length: int = 16
    """Bounds of the PIN in bytes of UTF-8."""


class LockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate with its private key in one plugged-in lock. A lock with two certificates is two records."""

    key: str
    """The backend's own name for this certificate and key; the same while the lock stays plugged in. Never leaves the driver."""
    device: str
    """The backend's own name for the lock; the same for all its certificates."""
    certificate: bytes
    """DER, as read from the lock: not yet parsed, not trusted."""
    serial: str
    """Device serial in full; shown masked, and sent in full only with an answer."""
    label: str
    manufacturer: str
    pin: PinState


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All a module has plugged in. ``problems`` are reasons (e.g. LOCK_WITHOUT_CERTIFICATE), one per unusable lock."""

    locks: tuple[LockRecord, ...] = ()
    problems: tuple[str, ...] = ()


class Backend(Protocol):
    """One token module. Every method may raise ``Refusal``; any other exception counts as MODULE_FAILED."""

    def list_locks(self) -> Listing:
        """Read everything that is plugged in, without a PIN."""
        ...

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, use_last_try: bool) -> bytes:
        """Use one PIN try, sign once, log out again.

        In this order: find the lock (LOCK_REMOVED), re-read its certificate and compare it with ``certificate``
        (``require_same_certificate``), read the PIN's state and refuse before trying (``require_try_allowed``), try the PIN
        (PIN_WRONG with fact ``tries_left``, PIN_LOCKED), sign, clear the PIN state of the device.

        Returns:
            r‖s for SM2 and ECDSA (each half of the key's size), the signature block for RSA.
        """
        ...

    def change_pin(self, key: str, *, old: bytearray, new: bytearray, use_last_try: bool) -> None:
        """Change the user PIN in place; same rules about tries as ``sign``."""
        ...

    def fingerprint(self) -> str:
        """Return a cheap text that changes when a lock is plugged in or out. Called every second between requests."""
        ...

    def watch(self, notify: Callable[[], None]) -> bool:
        """Start to call ``notify`` (from any thread) at each plug or unplug; False if the module cannot: then it is polled."""
        ...

    def close(self) -> None:
        """Let go of the module. The process ends afterwards."""
        ...


def require_same_certificate(found: bytes, shown: bytes) -> None:
    """Refuse when the lock no longer holds the certificate the user was shown.

    Raises:
        Refusal: LOCK_CHANGED.
    """
    if not hmac.compare_digest(found, shown):
        raise Refusal(Reason.LOCK_CHANGED, "the certificate in the lock is not the one that was shown")


def require_try_allowed(pin: bytearray, state: PinState, *, use_last_try: bool) -> None:
    """Refuse before a PIN try is spent. Called with the state read in this very operation.

    Raises:
        Refusal: PIN_MISSING, PIN_LENGTH, PIN_LOCKED, PIN_LAST_TRY; fact ``tries_left`` where it is known.
    """
    require_length(pin, state)
    if state.locked or state.tries_left == 0:
        raise Refusal(Reason.PIN_LOCKED, "the lock's PIN is locked", {"tries_left": 0})
    if (state.tries_left == 1 or state.last_try) and not use_last_try:
        raise Refusal(Reason.PIN_LAST_TRY, "one try is left and was not released by the user", {"tries_left": 1})


def require_length(pin: bytearray, state: PinState) -> None:
    """Refuse a PIN that the lock could not hold, so that no try is spent on it.

    Raises:
        Refusal: PIN_MISSING, PIN_LENGTH.
    """
    if not pin:
        raise Refusal(Reason.PIN_MISSING, "no PIN")
    if not state.min_length <= len(pin) <= state.max_length:
        facts = {"min": state.min_length, "max": state.max_length}
        raise Refusal(Reason.PIN_LENGTH, f"the lock takes {state.min_length} to {state.max_length} bytes", facts)
    if 0 in pin:
        raise Refusal(Reason.PIN_LENGTH, "NUL in the PIN")  # C libraries would stop reading there
