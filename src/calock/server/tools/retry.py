"""A transaction that the database broke off for the sake of another one is done again.

The order in which rows are taken keeps that from happening (docs/decisions/binding.md, register.md). Where an order was
overlooked, or one transaction does what several others do, a person should not have to read of a failure for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from django.db import OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

BROKEN_OFF = frozenset({"40P01", "40001"})
"""SQLSTATE of a deadlock and of a failed serialisation: nothing was written, and the same again may well succeed."""
TRIES = 3

log = structlog.get_logger(__name__)


def again_when_broken_off(act: Callable[P, T]) -> Callable[P, T]:
    """For a function that is one transaction, all of it. Inside another transaction, which is lost as a whole, it runs once."""

    @wraps(act)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        for left in reversed(range(TRIES)):
            try:
                return act(*args, **kwargs)
            except OperationalError as error:
                if not left or connection.in_atomic_block or getattr(error.__cause__, "sqlstate", None) not in BROKEN_OFF:
                    raise
                log.warning("transaction_broken_off", act=act.__name__, error=str(error)[:200])
        raise AssertionError

    return wrapped
