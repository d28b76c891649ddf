"""May this person enter this application now, or what must they do first? No clock, no database, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from calock.server.grants.levels import LEVELS, Proofs


@dataclass(frozen=True, slots=True)
class Ask:
    """What an application asks for, whichever protocol it speaks."""

    levels: tuple[str, ...] = ()
    """Acceptable levels, the preferred first; empty for any."""
    minimum: str = ""
    """What its registration asks in any case."""
    max_age: timedelta | None = None
    """How old the proof may be, when the request arrives: a proof made for this request is in time."""
    asked_at: datetime | None = None
    proved_after: datetime | None = None
    """The proof must be younger than this: the moment at which a new login was asked for."""
    silent: bool = False
    """The person may be asked nothing (``prompt=none``)."""


@dataclass(frozen=True, slots=True)
class Enter:
    """Let them in, proved by ``level`` at ``proved_at``."""

    level: str
    proved_at: datetime


@dataclass(frozen=True, slots=True)
class LogIn:
    """There is no live session."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """They must prove themselves anew; by lock when ``level`` says so."""

    level: str


@dataclass(frozen=True, slots=True)
class LoginRequired:
    """It would take a question, and none may be asked (OpenID Connect Core clause 3.1.2.6)."""


Decision = Enter | LogIn | StepUp | LoginRequired


def decide(ask: Ask, proofs: Proofs | None) -> Decision:
    """``proofs``: of the live session; None without one."""
    wanted = _acceptable(ask)
    if proofs is not None:
        for level in _in_order(ask, proofs):
            proved_at = proofs.at(level)
            if level in wanted and proved_at is not None and _is_young(ask, proved_at):
                return Enter(level, proved_at)
    if ask.silent:
        return LoginRequired()
    return LogIn() if proofs is None else StepUp("lock" if wanted == {"lock"} else "password")


def _acceptable(ask: Ask) -> set[str]:
    """Levels that satisfy: those at or above the weakest that is asked for, never below what is registered."""
    asked = min((LEVELS.index(level) for level in ask.levels), default=0)
    floor = max(asked, LEVELS.index(ask.minimum) if ask.minimum else 0)
    return set(LEVELS[floor:])


def _in_order(ask: Ask, proofs: Proofs) -> list[str]:
    """What was proved: first what was asked for by name, then the strongest."""
    named = [level for level in ask.levels if level in proofs.levels]
    return [*named, *(level for level in proofs.levels if level not in named)]


def _is_young(ask: Ask, proved_at: datetime) -> bool:
    if ask.proved_after is not None and proved_at <= ask.proved_after:
        return False
    return ask.max_age is None or ask.asked_at is None or ask.asked_at - proved_at <= ask.max_age
