"""The clock that all machines share: the database's. Beside it stands the machine's own, which may be wrong.

What machines share is written and judged by the shared clock: sessions, bindings, challenges, limits. A machine whose own clock
differs by more than TOLERANCE ends nothing and sweeps nothing in the background, and ``/readyz`` says so. Certificates and CRLs
are judged by the machine's own clock: they come from outside, and the database's clock may be the wrong one. With SQLite there is
one machine and one clock.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

TOLERANCE = timedelta(seconds=30)
MEASURE_EVERY = 10.0
"""Seconds between two looks of a server process at the database's clock."""


class ClockError(RuntimeError):
    """The machine's clock is wrong, or the database's is: what must not rest on it was not done."""


class _Shared:
    at: datetime | None = None
    """What the database's clock showed when it was looked at last; None before, and always with SQLite."""
    monotonic = 0.0
    """When that was, by the monotonic clock."""


def database_now() -> datetime:
    """What time it is by the database's clock, now."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def measure() -> None:
    """Look at the database's clock; ``now`` goes on from there."""
    before = time.monotonic()
    theirs = database_now()
    if connection.vendor == "postgresql":
        _Shared.at, _Shared.monotonic = theirs, (before + time.monotonic()) / 2  # the question takes half of the time each way


def forget() -> None:
    """Go by the machine's own clock again (tests)."""
    _Shared.at = None


def now() -> datetime:
    """What time it is by the shared clock; no statement is needed. Before the first look it is the machine's own."""
    if _Shared.at is None:
        return timezone.now()
    return _Shared.at + timedelta(seconds=time.monotonic() - _Shared.monotonic)


def difference() -> timedelta:
    """How far the machine's clock is ahead of the database's; the time that the question takes counts half."""
    before = timezone.now()
    theirs = database_now()
    after = timezone.now()
    return before + (after - before) / 2 - theirs


def require_agreement() -> None:
    """Return when both clocks show the same time, near enough.

    Raises:
        ClockError: they differ by more than TOLERANCE.
    """
    ahead = difference()
    if abs(ahead) > TOLERANCE:
        seconds = ahead.total_seconds()
        raise ClockError(f"this machine's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the database's")
