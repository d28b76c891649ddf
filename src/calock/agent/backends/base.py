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

Consent = Literal["page", "window", "released"]
"""Who asked for a PIN try: a page; the driver's own page; the driver's own page where the person released the last tries."""
RESERVED_TRIES = 2
"""So many tries are left to the driver's own window, where a person releases them."""


class PinState(msgspec.Struct, frozen=True, kw_only=True):
    """A token's user PIN, read without trying it. ``tries_left`` None: the token does not tell."""

    tries_left: int | None = None
    tries_max: int | None = None
    locked: bool = False
    default: bool = False
    last_try: bool = False
    """The token tells no number, but says that one try is left (PKCS#11 CKF_USER_PIN_FINAL_TRY)."""
    wrong_before: bool = False
    """A wrong PIN was tried since the last right one (PKCS#11 CKF_USER_PIN_COUNT_LOW), as far as the token tells."""
    on_reader: bool = False
    """The PIN is typed on the reader's own keys (PKCS#11 CKF_PROTECTED_AUTHENTICATION_PATH), never on this computer."""
    min_length: int = 6
    max_length: int = 16
    """Bounds of the PIN in bytes of UTF-8."""

    @property
    def reserved(self) -> bool:
        """Whether what is left may be the last two tries. A token without a number may have as few after one wrong PIN."""
        if self.tries_left is None:
            return self.last_try or self.wrong_before
        return self.tries_left <= RESERVED_TRIES


class LockRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One certificate with its private key in one plugged-in token. A token with two certificates is two records."""

    key: str
    """The backend's own name for this certificate and key; the same while the token stays plugged in. Never leaves the driver."""
    device: str
    """The backend's own name for the token; the same for all its certificates."""
    certificate: bytes
    """DER, as read from the token: not yet parsed, not trusted."""
    serial: str
    """The token's serial number in full, empty when it tells none of its own; shown masked, sent in full only with an answer."""
    label: str
    manufacturer: str
    pin: PinState


class TokenProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Something about a plugged-in token that its user should know."""

    reason: str
    """A ``Reason``."""
    label: str = ""
    serial: str = ""
    device: str = ""
    """The token's name, where something can be done with it: LOCK_CERTIFICATE_HIDDEN and ``Backend.reveal``."""
    pin: PinState = PinState()


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is plugged in at one module."""

    locks: tuple[LockRecord, ...] = ()
    problems: tuple[TokenProblem, ...] = ()


class Backend(Protocol):
    """One token module. Every method may raise ``Refusal``; any other exception counts as MODULE_FAILED."""

    def list_locks(self) -> Listing:
        """Read everything that is plugged in, without a PIN."""
        ...

    def sign(self, key: str, *, certificate: bytes, pin: bytearray, signing_input: SigningInput, consent: Consent) -> bytes:
        """Use one PIN try, sign once, log out again.

        In this order: find the token (LOCK_REMOVED, LOCKS_ALIKE), re-read its certificate and compare it with ``certificate``
        (LOCK_CHANGED), read the PIN's state and refuse before trying (``require_try_allowed``), try the PIN (PIN_WRONG with
        fact ``tries_left``, PIN_LOCKED), sign, clear the PIN state of the token.

        Returns:
            r‖s for SM2 and ECDSA (each half of the key's size), the signature block for RSA.
        """
        ...

    def change_pin(self, key: str, *, certificate: bytes, old: bytearray, new: bytearray, consent: Consent) -> None:
        """Change the user PIN in place; the same order of checks as ``sign``."""
        ...

    def reveal(self, device: str, *, pin: bytearray, consent: Consent) -> None:
        """Use one PIN try to read the certificates that a token hides; later listings hold them until it is pulled out.

        Raises:
            Refusal: as ``sign``; NOT_ALLOWED by a module whose tokens hide none.
        """
        ...

    def fingerprint(self) -> str:
        """Return a cheap text that changes when a token is plugged in or out. Called every second between requests."""
        ...

    def watch(self, notify: Callable[[], None]) -> bool:
        """Start to call ``notify`` (from any thread) at each plug or unplug; False if the module cannot: then it is polled."""
        ...

    def close(self) -> None:
        """Let go of the module. The process ends afterwards."""
        ...


def strip_padding(raw: bytes) -> bytes:
    """Cut the zero or 0xFF bytes off that follow a complete DER SEQUENCE; anything else stays as it is."""
    if len(raw) < 4 or raw[0] != 0x30 or raw[1] not in (0x81, 0x82):
        return raw
    header = 2 + raw[1] - 0x80
    end = header + int.from_bytes(raw[2:header], "big")
    return raw[:end] if end < len(raw) and not raw[end:].strip(b"\0\xff") else raw


def require_same_certificate(found: bytes, shown: bytes) -> None:
    """Refuse when the token no longer holds the certificate the user was shown.

    Raises:
        Refusal: LOCK_CHANGED.
    """
    if not hmac.compare_digest(found, shown):
        raise Refusal(Reason.LOCK_CHANGED, "the certificate in the lock is not the one that was shown")


def require_try_allowed(pin: bytearray, state: PinState, *, consent: Consent) -> None:
    """Refuse before a PIN try is spent. Called with the state read in this very operation.

    Raises:
        Refusal: PIN_MISSING, PIN_LENGTH, PIN_LOCKED; PIN_WINDOW_ONLY for a page and PIN_LAST_TRY for the driver's own window
            when the last tries would be used; fact ``tries_left`` where it is known.
    """
    if not state.on_reader:
        require_length(pin, state)
    if state.locked or state.tries_left == 0:
        raise Refusal(Reason.PIN_LOCKED, "the lock's PIN is locked", {"tries_left": 0})
    if state.reserved and consent != "released":
        left = 1 if state.last_try and state.tries_left is None else state.tries_left
        facts = {} if left is None else {"tries_left": left}
        if consent == "page":
            raise Refusal(Reason.PIN_WINDOW_ONLY, "the last tries are for the driver's own window", facts)
        raise Refusal(Reason.PIN_LAST_TRY, "the last tries were not released by the user", facts)


def require_length(pin: bytearray, state: PinState) -> None:
    """Refuse a PIN that the token could not hold, so that no try is spent on it.

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


def require_new_length(pin: bytearray, state: PinState) -> None:
    """The same for a new PIN, which is not shorter than those of most locks unless the token takes none so long.

    Raises:
        Refusal: PIN_MISSING, PIN_LENGTH.
    """
    shortest = max(state.min_length, min(state.max_length, PinState().min_length))
    require_length(pin, msgspec.structs.replace(state, min_length=shortest))
