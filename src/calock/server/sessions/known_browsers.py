"""Browsers in which somebody logged in before. Limits count them by themselves, so that strangers cannot use them up.

The cookie holds a random id and a MAC for each account that logged in there; it lets nobody in. Source: OWASP, "Slow Down Online
Guessing Attacks with Device Cookies".
"""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from calock.server.tools import seals

LIFE = timedelta(days=365)
MOST = 4
"""Accounts that one browser is known for: those that logged in there last."""
_TEXT = re.compile(r"[A-Za-z0-9_-]{22}(\.[0-9a-f]{64}){1,5}")


@dataclass(frozen=True, slots=True)
class KnownBrowser:
    """What the cookie says. ``marks``: first the one of the id itself, then one for each account."""

    id: str = ""
    marks: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> KnownBrowser:
        """The cookie's value; anything malformed is a browser that is not known."""
        if not _TEXT.fullmatch(text):
            return cls()
        known_id, *marks = text.split(".")
        return cls(known_id, tuple(marks))

    def __str__(self) -> str:
        return ".".join((self.id, *self.marks))

    def is_known(self) -> bool:
        """Whether anybody logged in here."""
        return bool(self.marks) and seals.same(self.marks[0], _mark(self.id))

    def knows(self, account_id: uuid.UUID) -> bool:
        """Whether this account logged in here."""
        mark = _mark(self.id, account_id)
        return self.is_known() and any(seals.same(mark, one) for one in self.marks[1:])

    def with_account(self, account_id: uuid.UUID) -> KnownBrowser:
        """The browser after a login of this account."""
        known_id = self.id if self.is_known() else secrets.token_urlsafe(16)
        others = [one for one in self.marks[1:] if one != _mark(known_id, account_id)] if self.is_known() else []
        return KnownBrowser(known_id, (_mark(known_id), _mark(known_id, account_id), *others[: MOST - 1]))


UNKNOWN = KnownBrowser()


def _mark(known_id: str, account_id: uuid.UUID | None = None) -> str:
    return seals.mac("browser", seals.canonical([known_id, str(account_id or "")]))
