"""Browsers in which somebody logged in before. Limits count them by themselves, so that strangers cannot use them up.

The cookie holds a random id and a MAC for each account that logged in there; it lets nobody in. Source: OWASP, "Slow Down Online
Guessing Attacks with Device Cookies".
"""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from calock.server.tools import seals

LIFE = timedelta(days=365)
MOST = 4
"""Accounts that one browser is known for: those that logged in there last."""
_TEXT = re.compile(r"[A-Za-z0-9_-]{22}(:[A-Za-z0-9_.-]{1,64}){1,5}")


@dataclass(frozen=True)
class KnownBrowser:
    """What the cookie says. ``marks``: first the one of the id itself, then one for each account."""

    id: str = ""
    marks: tuple[str, ...] = ()
    _known: dict[uuid.UUID, bool] = field(default_factory=dict, compare=False, repr=False)
    """Accounts that were asked about before: a login asks twice."""

    @classmethod
    def parse(cls, text: str) -> KnownBrowser:
        """The cookie's value; anything malformed is a browser that is not known."""
        if not _TEXT.fullmatch(text):
            return cls()
        known_id, *marks = text.split(":")
        return cls(known_id, tuple(marks))

    def __str__(self) -> str:
        return ":".join((self.id, *self.marks))

    def is_known(self) -> bool:
        """Whether anybody logged in here."""
        return self._is_ours

    @cached_property
    def _is_ours(self) -> bool:
        return bool(self.marks) and _fits(self.marks[0], self.id)

    def knows(self, account_id: uuid.UUID) -> bool:
        """Whether this account logged in here."""
        if self.is_known() and account_id not in self._known:
            self._known[account_id] = any(_fits(mark, self.id, account_id) for mark in self.marks[1:])
        return self._known.get(account_id, False)

    def with_account(self, account_id: uuid.UUID) -> KnownBrowser:
        """The browser after a login of this account."""
        known_id = self.id if self.is_known() else secrets.token_urlsafe(16)
        others = [one for one in self.marks[1:] if not _fits(one, known_id, account_id)] if self.is_known() else []
        return KnownBrowser(known_id, (_mark(known_id), _mark(known_id, account_id), *others[: MOST - 1]))


UNKNOWN = KnownBrowser()


def _mark(known_id: str, account_id: uuid.UUID | None = None) -> str:
    return seals.mac("browser", _content(known_id, account_id))


def _fits(mark: str, known_id: str, account_id: uuid.UUID | None = None) -> bool:
    return seals.fits(mark, "browser", _content(known_id, account_id))


def _content(known_id: str, account_id: uuid.UUID | None) -> bytes:
    return seals.canonical([known_id, str(account_id or "")])
