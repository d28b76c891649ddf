"""Whether the background work of this machine happens, from what it wrote down: for the readiness probe and the trust dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec
from django.utils import timezone

from calock.server.jobs.runner import states_file

WARNING = "warning: "
"""How a line of ``/readyz`` begins that does not make a machine one that is not ready."""
PERIODS = 3
"""A job that did not start for so many of its periods is late."""
PATIENCE = timedelta(seconds=30)
"""… and for so long: a machine under load skips a beat of a job that runs every few seconds."""


class ProblemKind(StrEnum):
    """What can be wrong with the background work."""

    UNKNOWN = "unknown"  # nothing says that it ever ran, or what does cannot be read
    LATE = "late"  # not started for three periods, nor for as long as a run may take: dead, or hanging in its last run
    FAILED = "failed"  # its last run ended with an error


@dataclass(frozen=True, slots=True)
class JobProblem:
    """One thing that is wrong."""

    kind: ProblemKind
    job: str
    """Empty = all of them."""
    detail: str
    """For operators: the error, or since when. Not for strangers."""

    @property
    def line(self) -> str:
        """What a stranger may read: the job's name and the kind of trouble."""
        words = {
            ProblemKind.UNKNOWN: "have not been heard of",
            ProblemKind.LATE: "did not start when it should have",
            ProblemKind.FAILED: "failed at its last run",
        }
        return f"job {self.job}: {words[self.kind]}" if self.job else f"jobs: {words[self.kind]}"


class State(msgspec.Struct, rename="camel"):
    """How one job stands, as the runner wrote it."""

    every: float
    last_started: str
    last_error: str
    bound: float = 0.0
    """Seconds that a run may take; a runner of before says none."""

    @property
    def patience(self) -> timedelta:
        """After its last start it is not late for so long."""
        return max(timedelta(seconds=max(PERIODS * self.every, self.bound)), PATIENCE)


def read_states() -> dict[str, State]:
    """How each job of this machine stands, by name.

    Raises:
        OSError, msgspec.MsgspecError: nothing has been written, or it cannot be read.
    """
    return msgspec.json.decode(states_file().read_bytes(), type=dict[str, State])


def problems(*, at: datetime | None = None) -> list[JobProblem]:
    """What is wrong with the jobs of this machine now; empty = nothing. Reads one small file."""
    at = at or timezone.now()
    try:
        states = read_states()
    except FileNotFoundError:
        return [
            JobProblem(
                ProblemKind.UNKNOWN, "", "no jobs.json: `calock serve` without --no-jobs, or `calock manage jobs`, writes it"
            )
        ]
    except (OSError, msgspec.MsgspecError) as error:
        return [JobProblem(ProblemKind.UNKNOWN, "", f"jobs.json cannot be read: {error}")]
    found = [problem for name, state in states.items() for problem in _of(name, state, at)]
    return found if states else [JobProblem(ProblemKind.UNKNOWN, "", "jobs.json names none")]


def _of(name: str, state: State, at: datetime) -> list[JobProblem]:
    found = []
    try:
        started = datetime.fromisoformat(state.last_started)
        late = abs(at - started) > state.patience
    except (ValueError, TypeError, OverflowError):
        late = True
    if late:
        found.append(JobProblem(ProblemKind.LATE, name, f"started last at {state.last_started or 'no time'}"))
    if state.last_error:
        found.append(JobProblem(ProblemKind.FAILED, name, state.last_error))
    return found
