"""What the driver itself asks of a PIN before a token sees it, whichever module the token belongs to.

A hostile script on an allowed page must not be able to lock a token (docs/threats.md, B31), and a PIN that was pasted with a blank
must not cost its owner a try.
"""

from __future__ import annotations

from calock.agent.modules import UNTRIED
from calock.agent.rate import MAX_KEYS
from calock.core.refusals import Reason, Refusal

WRONG_IN_A_ROW = 2
"""So many wrong PINs may one page cause before only the driver's own window takes the next."""
_BEFORE_A_TRY = frozenset({
    Reason.DRIVER_BUSY, Reason.CHALLENGE_MALFORMED, Reason.KEY_NOT_ALLOWED, Reason.ALGORITHM_NOT_ALLOWED, Reason.NOT_ALLOWED,
    Reason.LOCK_UNKNOWN, Reason.LOCK_REMOVED, Reason.LOCK_CHANGED, Reason.LOCKS_ALIKE, Reason.LOCK_WITHOUT_KEY,
    Reason.PIN_MISSING, Reason.PIN_LENGTH, Reason.PIN_CHARACTERS, Reason.PIN_LAST_TRY, Reason.PIN_WINDOW_ONLY, Reason.PIN_CANCELLED,
    Reason.MODULE_MISSING, Reason.MODULE_ARCHITECTURE,
})  # fmt: skip
"""Refusals that say that no PIN was tried."""


class WrongPins:
    """Wrong PINs in a row, for each page. A try with an unknown outcome counts as wrong: the page may have ended it on purpose."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def window_only(self, origin: str) -> bool:
        """Whether this page's next PIN must be typed in the driver's own window."""
        return self._count.get(origin, 0) >= WRONG_IN_A_ROW

    def note_right(self, origin: str) -> None:
        self._count.pop(origin, None)

    def note_failed(self, origin: str, refusal: Refusal) -> None:
        """Count a failed operation unless it says that no PIN was tried, or that the page's PIN was right."""
        if refusal.reason in _BEFORE_A_TRY or refusal.facts.get(UNTRIED):
            return
        if refusal.reason is Reason.LOCK_SIGNATURE_WRONG:
            self.note_right(origin)
            return
        if len(self._count) >= MAX_KEYS and origin not in self._count:  # origins are configured, so there are few
            return
        self._count[origin] = self._count.get(origin, 0) + 1


def require_plain_characters(pin: str) -> None:
    """Refuse a PIN with blanks around it or characters that no token's keyboard has, such as full-width digits.

    They come from pasting out of messages. The user decides whether the PIN was meant so: nothing is changed behind their back,
    because a PIN with a blank at its end can exist.

    Raises:
        Refusal: PIN_CHARACTERS.
    """
    if pin != pin.strip() or not all(" " <= character <= "~" for character in pin):
        raise Refusal(Reason.PIN_CHARACTERS, "blanks around the PIN, or characters other than printable ASCII")
