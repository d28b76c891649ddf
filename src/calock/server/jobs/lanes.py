"""Background work in lanes that take turns: what lets one lane wait keeps no other waiting."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from django.db import connections

log = structlog.get_logger(__name__)
_Work = Callable[[], object]


@dataclass(slots=True)
class _Lane:
    waiting: deque[tuple[_Work, Future[None]]] = field(default_factory=deque)
    active: int = 0
    """Threads that are at this lane, or stand in line for it."""


class Lanes:
    """Lanes of work for ``at_once`` threads: one piece of a lane, then of the next, and at most ``of_one`` of a lane at a time."""

    def __init__(self, name: str, *, at_once: int, of_one: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, name)
        self._of_one = of_one
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._guard = threading.Lock()

    def put(self, lane: str, work: _Work) -> Future[None]:
        """Let ``work`` be done in its turn; the future is done when it is, with the error that it met."""
        done: Future[None] = Future()
        with self._guard:
            chosen = self._lanes[lane]
            chosen.waiting.append((work, done))
            if chosen.active < self._of_one:
                chosen.active += 1
                self._pool.submit(self._next, chosen)
        return done

    def _next(self, lane: _Lane) -> None:
        """Do one of a lane, then stand in line again behind the others."""
        with self._guard:
            if not lane.waiting:  # the others at this lane were quicker
                lane.active -= 1
                return
            work, done = lane.waiting.popleft()
        try:
            try:
                work()
            finally:
                connections.close_all()  # this thread's: threads that wait for work keep none
        except BaseException as error:  # nothing may end the lane
            log.exception("background_work_failed")
            done.set_exception(error)
        else:
            done.set_result(None)
        finally:
            self._pool.submit(self._next, lane)
