"""A transaction that the database broke off for the sake of another one is done again.

The order in which rows are taken keeps that from happening (docs/decisions/binding.md). Where an order was overlooked, a person
at the end of his two minutes should not have to read of a failure for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

BROKEN_OFF = frozenset({"40P01", "40001"})
"""SQLSTATE of a deadlock and of a failed serialisation: nothing was written, and the same again may well succeed."""
TRIES = 3


def again_when_broken_off(act: Callable[P, T]) -> Callable[P, T]:
    """For a function that is one transaction, all of it. Inside another transaction, which is lost as a whole, it runs once."""

    @wraps(act)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        if connection.in_atomic_block:
            return act(*args, **kwargs)
        for _ in range(TRIES - 1):
            try:
                return act(*args, **kwargs)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in BROKEN_OFF:
                    raise
        return act(*args, **kwargs)

    return wrapped
