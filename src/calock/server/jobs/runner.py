"""Run what has to happen without anybody asking: one process a machine, one thread a job, each on its own clock.

A job that fails is logged and runs again at its next time; one that is slow delays no other job. How each stands is written to
``CALOCK_DATA/jobs.json``, which :mod:`calock.server.jobs.health` reads.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

from calock.server.tools.files import locked, replacing

log = structlog.get_logger(__name__)


def states_file() -> Path:
    """Where the jobs of this machine say how they stand."""
    return Path(settings.CALOCK.data) / "jobs.json"


@dataclass(frozen=True, slots=True)
class Job:
    """``run`` every ``every`` seconds, first at once; what it returns is only logged when it is not empty or zero.

    A result with a ``problem`` (a text) counts as a failed run: part of the work was not done.
    """

    name: str
    every: float
    run: Callable[[], object]
    finish: Callable[[], object] | None = None
    """Waits for what ``run`` started, for those who run it once."""
    wake: threading.Event = field(default_factory=threading.Event)
    """Set it to have the job run now; it is cleared before the run, so nothing that happens during one is missed."""
    bound: float = 0.0
    """Seconds that one run may take, where that is longer than a job may be silent otherwise."""


@dataclass(slots=True)
class _State:
    every: float
    bound: float
    last_started: str
    runs: int = 0
    failures: int = 0
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
        with locked(Path(settings.CALOCK.data) / "jobs.lock", wait=lambda: alive() and not self.stop.wait(1.0)) as first:
            if not first:
                return
            self._states = {job.name: _State(job.every, job.bound, timezone.now().isoformat()) for job in self.jobs}
            threads = [threading.Thread(target=self._loop, args=(job,), name=job.name, daemon=True) for job in self.jobs]
            for thread in threads:
                thread.start()
            while alive() and not self.stop.wait(1.0):
                pass
            self.stop.set()
            for job in self.jobs:
                job.wake.set()
            for thread in threads:
                thread.join(10.0)

    def _loop(self, job: Job) -> None:
        while not self.stop.is_set():
            started = time.monotonic()
            job.wake.clear()
            try:
                self.once(job)
            except BaseException:  # also SystemExit from some library: nothing may end the loop but ``stop``
                with suppress(Exception):
                    log.exception("job_not_written_down", job=job.name)
            if not self.stop.is_set():
                job.wake.wait(max(0.0, job.every - (time.monotonic() - started)))
        connections.close_all()

    def once(self, job: Job) -> None:
        """One run of one job, whatever it does."""
        with self._guard:
            state = self._states.setdefault(job.name, _State(job.every, job.bound, ""))
        state.runs += 1
        state.last_started = timezone.now().isoformat()
        self._write_states()
        try:
            close_old_connections()
            result = job.run()
        except BaseException as error:  # the next run must happen whatever this one met
            state.failures += 1
            text = f"{type(error).__name__}: {error}"[:300]
            if text == state.last_error:  # said before, with its traceback: a database that is away fails every job for as long
                log.error("job_failed_again", job=job.name, error=text)  # noqa: TRY400
            else:
                log.exception("job_failed", job=job.name)
            state.last_error = text
            connections.close_all()
        else:
            state.last_error = str(getattr(result, "problem", ""))[:300]
            if result:
                log.info("job_done", job=job.name, result=str(result)[:200])
        self._write_states()

    def _write_states(self) -> None:
        """When each job ran last and what it met, for the health check; a disk that takes nothing makes it grow old, no more."""
        try:
            with self._guard:
                self._replace_states()
        except OSError as error:
            log.error("job_states_not_written", error=str(error))  # noqa: TRY400 - a full disk needs no traceback each second

    def _replace_states(self) -> None:
        text = json.dumps(
            {
                name: {
                    "every": s.every, "bound": s.bound, "runs": s.runs, "failures": s.failures, "lastStarted": s.last_started,
                    "lastError": s.last_error,
                }
                for name, s in self._states.items()
            }
        )  # fmt: skip
        with replacing(states_file(), durable=False) as file:  # it is written twice in each run of a job
            file.write(text.encode())
