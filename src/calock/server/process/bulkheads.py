"""Bulkheads: each kind of work has threads of its own, so that one that is slow or flooded leaves the others standing.

A request waits for a thread of its kind in a bounded queue. When the queue is full, or the wait was too long, the request is
refused at once (503 and ``Retry-After``) instead of waiting unseen. A kind that costs much may rest after each request that came
to nothing, so that whoever sends many of those gets a bounded part of a core. Niceness alone bounds nothing: it counts among the
threads of one session or container only, which share what the others leave.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic, sleep
from typing import NamedTuple

PATIENCE = 4.0
"""Seconds that a request may wait for a thread."""
FORGIVEN = 3.0
"""Seconds of rests that are not kept: a few people who mistype at the same time make nobody wait."""
LONGEST_REST = 0.5
"""Seconds: so short that what one address may have waiting is done within ``PATIENCE`` also where the cores are busy."""


class FullError(RuntimeError):
    """No room: refuse the request, and say when to come again."""


class Job(NamedTuple):
    """One request. ``run`` does it, ``refuse`` answers it when it waited too long; one of the two is called, once."""

    run: Callable[[], bool]
    """Tells whether it came to something."""
    refuse: Callable[[], object]
    shares: tuple[str, ...]
    """Whose request it is, when it had to wait: one address, and one browser, gets at most half of the places."""
    since: float


class Bulkhead:
    """``threads`` requests at a time, ``waiting`` more in a queue. Threads are started when they are first needed, and stay.

    ``rest``: how many times as long as a request took that came to nothing its thread then takes no other.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, rest: float = 0.0) -> None:
        self.name = name
        self._rest = rest
        self._rested_until = 0.0
        self._threads = threads
        self._waiting = waiting
        self._queue: SimpleQueue[Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._started = 0
        self._present = 0
        """Requests that wait or are worked on."""
        self._shares: Counter[str] = Counter()

    def submit(self, run: Callable[[], bool], refuse: Callable[[], object], shares: Callable[[], tuple[str, ...]]) -> None:
        """Queue one request. ``shares`` is only asked when it matters: when all threads are busy.

        Raises:
            FullError: neither a thread nor a place in the queue is free.
        """
        whose: tuple[str, ...] = ()
        with self._lock:
            if self._present >= self._threads:
                whose = shares()
                full = self._present >= self._threads + self._waiting
                if full or any(self._shares[one] >= max(1, self._waiting // 2) for one in whose):
                    raise FullError(self.name)
                self._shares.update(whose)
            self._present += 1
            if self._started < min(self._present, self._threads):
                self._started += 1
                threading.Thread(target=self._work, name=f"{self.name}-{self._started}", daemon=True).start()
        self._queue.put(Job(run, refuse, whose, monotonic()))

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            try:
                if monotonic() - job.since > PATIENCE:
                    job.refuse()
                else:
                    self._run(job)
            finally:
                with self._lock:
                    self._present -= 1
                    self._leave(job.shares)

    def _run(self, job: Job) -> None:
        began = monotonic()
        if job.run() or not self._rest:
            return
        now = monotonic()
        with self._lock:
            rest = min(LONGEST_REST, self._rest * (now - began))
            until = self._rested_until = max(self._rested_until, now - FORGIVEN) + rest
        sleep(max(0.0, until - now))

    def _leave(self, shares: tuple[str, ...]) -> None:
        self._shares.subtract(shares)
        for one in shares:
            if not self._shares[one]:
                del self._shares[one]
