"""Run what has to happen without anybody asking: one process a machine, one thread a job, each on its own clock.

A job that fails is logged and runs again at its next time; one that is slow delays nobody but itself.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """``run`` every ``every`` seconds, first at once; what it returns is only logged when it is not empty or zero."""

    name: str
    every: float
    run: Callable[[], object]
    finish: Callable[[], object] | None = None
    """Waits for what ``run`` started, for those who run it once."""


@dataclass(slots=True)
class _State:
    runs: int = 0
    failures: int = 0
    last_started: str = ""
    last_error: str = ""


@dataclass(slots=True)
class Runner:
    """The jobs of one machine."""

    jobs: Sequence[Job]
    stop: threading.Event = field(default_factory=threading.Event)
    _states: dict[str, _State] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def run(self, *, alive: Callable[[], bool] = lambda: True) -> None:
        """Run until ``stop`` is set or ``alive`` says no; a second runner of this machine waits until the first is gone."""
        with alone(self.stop, alive) as first:
            if not first:
                return
            threads = [threading.Thread(target=self._loop, args=(job,), name=job.name, daemon=True) for job in self.jobs]
            for thread in threads:
                thread.start()
            while alive() and not self.stop.wait(1.0):
                pass
            self.stop.set()
            for thread in threads:
                thread.join(10.0)

    def _loop(self, job: Job) -> None:
        while not self.stop.is_set():
            started = time.monotonic()
            self.once(job)
            self.stop.wait(max(0.0, job.every - (time.monotonic() - started)))
        connections.close_all()

    def once(self, job: Job) -> None:
        """One run of one job, whatever it does."""
        with self._guard:
            state = self._states.setdefault(job.name, _State())
        state.runs += 1
        state.last_started = timezone.now().isoformat()
        close_old_connections()
        try:
            result = job.run()
        except Exception as error:  # the next run must happen whatever this one met
            state.failures += 1
            state.last_error = f"{type(error).__name__}: {error}"[:300]
            log.exception("job_failed", job=job.name)
            connections.close_all()
        else:
            state.last_error = ""
            if result:
                log.info("job_done", job=job.name, result=str(result)[:200])
        self._write_states()

    def _write_states(self) -> None:
        """``CALOCK_DATA/jobs.json``: when each job ran last and what it met, for the health check."""
        with self._guard:
            text = json.dumps(
                {
                    name: {"runs": s.runs, "failures": s.failures, "lastStarted": s.last_started, "lastError": s.last_error}
                    for name, s in self._states.items()
                }
            )
            handle, temporary = tempfile.mkstemp(dir=settings.CALOCK.data, prefix=".jobs-")
            with os.fdopen(handle, "w") as file:
                file.write(text)
            Path(temporary).replace(Path(settings.CALOCK.data) / "jobs.json")


@contextmanager
def alone(stop: threading.Event, alive: Callable[[], bool]) -> Iterator[bool]:
    """Hold the machine's one runner lock, waiting for it; False when told to stop before."""
    with (Path(settings.CALOCK.data) / "jobs.lock").open("ab") as file:
        while alive() and not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stop.wait(1.0)
            else:
                yield True
                return
        yield False
