"""Do a decision again when the database broke it off for another transaction's sake.

The locks of the register have one order, but an approval also ends sessions and bindings, whose rows other transactions lock in
theirs. PostgreSQL then ends one of the two, whole: doing it again is all there is to do about it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from django.db import OperationalError, connection

log = structlog.get_logger(__name__)

TIMES = 3
BROKEN_OFF = frozenset({"40P01", "40001"})  # deadlock_detected, serialization_failure: nothing of the transaction was done

P = ParamSpec("P")
T = TypeVar("T")


def again(verb: Callable[P, T]) -> Callable[P, T]:
    """Try ``verb``, which owns its transaction, at most three times. Inside another's transaction that one is broken off too."""

    @wraps(verb)
    def tried(*args: P.args, **kwargs: P.kwargs) -> T:
        for left in reversed(range(TIMES)):
            try:
                return verb(*args, **kwargs)
            except OperationalError as error:
                if not left or connection.in_atomic_block or getattr(error.__cause__, "sqlstate", None) not in BROKEN_OFF:
                    raise
                log.warning("decision_tried_again", verb=verb.__name__, error=str(error)[:200])
        raise AssertionError

    return tried
