"""Places for checks of passwords: how many at a time, how many may wait, and what a flood of guesses leaves to others.

A check takes memory and 20 ms of a core, and the caches beside it; a CA login takes a hundredth of that. The place of a wrong
password rests afterwards: guessers get a fifth of what the places could hash, whoever else waits for one waits 0.1 s longer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import PriorityQueue

from calock.core.refusals import Reason, Refusal

REST = 4
"""Times as long as a wrong password was looked at does its place rest."""


class Check:
    """One check of a password, in a place of its own."""

    def __init__(self) -> None:
        self.was_wrong = False


class Places:
    """``count`` checks at a time and ``waiting`` that may wait for one; ``now`` and ``sleep`` are of one clock, in seconds."""

    def __init__(
        self, count: int, waiting: int, *, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._words = f"{count} password checks are running, {waiting} are waiting"
        self._present = threading.BoundedSemaphore(count + waiting)
        self._now, self._sleep = now, sleep
        self._free: PriorityQueue[float] = PriorityQueue()
        """Of each free place the moment when it has rested, the earliest first."""
        for _ in range(count):
            self._free.put(now())

    @contextmanager
    def one(self) -> Iterator[Check]:
        """A place, as soon as one has rested.

        Raises:
            Refusal: SERVER_BUSY, at once, when enough wait already: later ones hold no thread.
        """
        if not self._present.acquire(blocking=False):
            raise Refusal(Reason.SERVER_BUSY, self._words)
        try:
            with self._rested() as check:
                yield check
        finally:
            self._present.release()

    @contextmanager
    def _rested(self) -> Iterator[Check]:
        rested, check = self._free.get(), Check()
        begun = max(rested, self._now())
        try:
            self._sleep(max(0, begun - self._now()))
            yield check
        finally:
            ended = self._now()
            self._free.put(ended + REST * (ended - begun) if check.was_wrong else ended)
