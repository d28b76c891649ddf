"""The machine's clock against the database's, which is the one that all machines share.

What the machines share is judged and swept by the database's clock. A machine whose own clock differs by more than TOLERANCE ends
no session and sweeps nothing, and ``/readyz`` says so. With SQLite there is one machine and one clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

TOLERANCE = timedelta(seconds=30)


class ClockError(RuntimeError):
    """The machine's clock is wrong, or the database's is: what must not rest on it was not done."""


def database_now() -> datetime:
    """What time it is by the clock that all machines share."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    moment: datetime = now
    return moment


def difference() -> timedelta:
    """How far this machine's clock is ahead of the database's; the time that the question takes counts half."""
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
