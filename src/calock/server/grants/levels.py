"""How a person proved who they are, in the words of OpenID Connect: ``acr`` and ``amr`` (RFC 8176), true to what the session says.

Nothing attests that a lock is hardware. Its method is ``hwk`` where its CA says so by a policy that the provider's rules name, else
``swk``; ``sc`` is never used, and no level of NIST is claimed.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from calock.server.locks.hardware import is_of_hardware
from calock.server.sessions.models import Session

PREFIX = "urn:calock:acr:"
LEVELS = ("password", "lock")
"""Weakest first."""


class Proofs(NamedTuple):
    """When a session's person last proved themselves, in each of the two ways; None: never."""

    password: datetime | None
    lock: datetime | None

    def at(self, level: str) -> datetime | None:
        return self.lock if level == "lock" else self.password

    @property
    def levels(self) -> list[str]:
        """What is proved, strongest first."""
        return [level for level in reversed(LEVELS) if self.at(level) is not None]


def proofs_of(session: Session) -> Proofs:
    """What counts of a session; nothing when its row is not the one that this server sealed."""
    if not session.is_intact():
        return Proofs(None, None)
    return Proofs(session.password_proved_at, session.lock_proved_at)


def methods_of(session: Session, proofs: Proofs) -> list[str]:
    """``amr``: the ways in which a session's person proved themselves."""
    password = () if proofs.password is None else ("pwd",)
    if proofs.lock is None:
        return [*password]
    return ["hwk" if is_of_hardware(session.proved_lock_id, proved_at=proofs.lock) else "swk", "pin", "mfa", *password]


def acr(level: str) -> str:
    """A level as it is written in tokens."""
    return PREFIX + level


def level_of(text: str) -> str:
    """The level that an ``acr`` value names; empty for one that is not ours."""
    level = text.removeprefix(PREFIX)
    return level if text.startswith(PREFIX) and level in LEVELS else ""
