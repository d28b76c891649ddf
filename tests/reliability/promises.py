"""What a promise is here: a function that tries it on real processes and returns what it counted.

To add one: write a function ``(field: Field, rng: random.Random) -> Counts`` in a module that ``run.py`` imports, decorate it with
``@promise("R4", "…")``, and raise ``BrokenPromiseError`` (or let an assertion fail) when the promise does not hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from field import Field

Counts = dict[str, int | float | str]
Try = Callable[["Field", random.Random], Counts]


class BrokenPromiseError(AssertionError):
    """The promise did not hold; the text says what was seen."""


@dataclass(frozen=True)
class Promise:
    code: str
    says: str
    attempt: Try
    database: str
    """``postgresql``, ``sqlite``, or ``patroni``: three PostgreSQL that watch each other."""


PROMISES: dict[str, Promise] = {}


def promise(code: str, says: str, *, database: str = "postgresql") -> Callable[[Try], Try]:
    """Enter a promise under its code."""

    def enter(attempt: Try) -> Try:
        assert code not in PROMISES, code
        PROMISES[code] = Promise(code, says, attempt, database)
        return attempt

    return enter


def require(holds: object, seen: object) -> None:
    """Raise unless ``holds``."""
    if not holds:
        raise BrokenPromiseError(str(seen))
