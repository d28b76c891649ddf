"""Which tokens are plugged in, and how each is told from the others.

A token is named by what it says of itself (serial number, label, manufacturer, model), because slots are renumbered when another
token is plugged in. Where that says nothing of its own, or two tokens say the same, the slot is added to the name. A name is never
proof: before a PIN is tried the token must hold the certificate that was shown (``Pkcs11Backend``).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from pkcs11 import TokenFlag
from pkcs11 import exceptions as errors

from calock.agent.backends.base import PinState
from calock.agent.backends.serials import own_serials

_SHORTEST_PIN, _LONGEST_PIN = 4, 255


@dataclass(frozen=True, slots=True)
class PresentToken:
    """One initialised token in a slot."""

    token: Any
    name: str
    """Digest of what it says of itself. Two tokens may have the same."""
    device: str
    """``name``, and ``@`` with the slot where the name alone does not tell it from others."""
    serial: str
    """Its serial number, empty when it tells none of its own."""
    label: str
    manufacturer: str
    pin_lengths: tuple[int, int]
    """Octets of the shortest and of the longest PIN."""
    wrong_before: bool = False
    """A wrong PIN was tried since the last right one, as this program remembers of a token that does not tell."""

    @property
    def pin(self) -> PinState:
        told = pin_state(self.token, *self.pin_lengths)
        return msgspec.structs.replace(told, wrong_before=True) if self.wrong_before else told


def present_tokens(library: Any, told_lengths: Callable[[int], tuple[int, int]]) -> list[PresentToken]:
    """Read every slot; a token that is pulled out meanwhile, or was never initialised, is left out.

    ``told_lengths``: the lengths of its PIN that the token in a slot tells.
    """
    tokens = []
    for slot in library.get_slots(token_present=True):
        with contextlib.suppress(errors.PKCS11Error):
            token = slot.get_token()
            if TokenFlag.TOKEN_INITIALIZED in token.flags:
                tokens.append(token)
    names = [_name(token) for token in tokens]
    serials = own_serials(field_text(token.serial) for token in tokens)
    count = Counter(names)
    return [
        PresentToken(
            token=token,
            name=name,
            device=name if serial and count[name] == 1 else f"{name}@{token.slot.slot_id}",
            serial=serial,
            label=field_text(token.label),
            manufacturer=field_text(token.manufacturer_id),
            pin_lengths=_pin_lengths(told_lengths, token.slot.slot_id),
        )
        for token, name, serial in zip(tokens, names, serials, strict=True)
    ]


def named(device: str, tokens: list[PresentToken]) -> list[PresentToken]:
    """Return the tokens that a device name may mean: those that say the same of themselves, whatever their slot is now."""
    name = device.partition("@")[0]
    return [token for token in tokens if token.name == name]


def _name(token: Any) -> str:
    told = (token.serial, token.label.encode(), str(token.manufacturer_id).encode(), str(token.model).encode())
    return hashlib.sha256(b"\0".join(told)).hexdigest()[:16]


def field_text(value: Any) -> str:
    """Text of a padded field of CK_TOKEN_INFO."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0 ")


def _pin_lengths(told_lengths: Callable[[int], tuple[int, int]], slot: int) -> tuple[int, int]:
    try:
        return usable_lengths(*told_lengths(slot))
    except (errors.PKCS11Error, OSError):
        return usable_lengths(0, 0)


def usable_lengths(shortest: int, longest: int) -> tuple[int, int]:
    """Bounds of a PIN as a token tells them, or those of most locks where they can be none (CK_UNAVAILABLE_INFORMATION, zeros).

    Tokens that tell 1 mean nothing by it: a single key that slipped must not cost a try.
    """
    longest = min(longest, _LONGEST_PIN)
    if shortest <= 0 or max(shortest, _SHORTEST_PIN) > longest:
        return PinState().min_length, PinState().max_length
    return max(shortest, _SHORTEST_PIN), longest


def pin_state(token: Any, shortest: int, longest: int) -> PinState:
    """PKCS#11 tells no numbers of tries, only warnings (PKCS#11 2.40 clause 3.2, CK_TOKEN_INFO)."""
    flags = token.flags
    return PinState(
        min_length=shortest,
        max_length=longest,
        locked=TokenFlag.USER_PIN_LOCKED in flags,
        last_try=TokenFlag.USER_PIN_FINAL_TRY in flags,
        wrong_before=TokenFlag.USER_PIN_COUNT_LOW in flags,
        default=TokenFlag.USER_PIN_TO_BE_CHANGED in flags,
        on_reader=TokenFlag.PROTECTED_AUTHENTICATION_PATH in flags,
    )


def may_hide_objects(token: Any) -> bool:
    """Whether a token without visible certificates may show some after a login."""
    return TokenFlag.LOGIN_REQUIRED in token.flags and TokenFlag.USER_PIN_INITIALIZED in token.flags
