"""What a monitoring system learns of one machine, and how little a stranger does."""

from __future__ import annotations

import dataclasses
import json
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import record
from calock.server.jobs import all as every_job
from calock.server.jobs import health, readiness
from calock.server.jobs.health import ProblemKind
from calock.server.jobs.runner import Job, Runner, states_file
from calock.server.jobs.sessions import Sweep
from calock.server.revocation.evidence import LOOK_EVERY
from calock.server.tools import clock


@pytest.fixture(autouse=True)
def _no_jobs_ran():
    states_file().unlink(missing_ok=True)
    yield
    states_file().unlink(missing_ok=True)


def write(**jobs: tuple[float, float, str]) -> None:
    """What the runner leaves behind: name = (period, seconds since the last start, last error)."""
    now = timezone.now()
    states = {
        name.replace("_", "-"): {
            "every": every, "runs": 1, "failures": 0, "lastError": error,
            "lastStarted": (now - timedelta(seconds=ago)).isoformat(),
        }
        for name, (every, ago, error) in jobs.items()
    }  # fmt: skip
    states_file().write_text(json.dumps(states))


@pytest.fixture
def jobs_run():
    write(crl=(5.0, 1.0, ""))


@pytest.mark.django_db
def test_a_machine_whose_jobs_run_is_ready():
    write(crl=(5.0, 4.0, ""), sessions=(10.0, 29.0, ""), audit_seal=(60.0, 179.0, ""))
    assert readiness.problems() == []


def test_a_job_that_is_at_work_on_a_long_list_is_not_late_before_a_run_may_end():
    imports = next(job for job in every_job.all_jobs() if job.name == "imports")
    working, go_on = threading.Event(), threading.Event()

    def work():
        working.set()
        go_on.wait(60)

    runner = Runner([dataclasses.replace(imports, run=work)])
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        assert working.wait(20)
        late = [health.problems(at=timezone.now() + timedelta(seconds=seconds)) for seconds in (40, imports.bound + 1)]
    finally:
        go_on.set()
        runner.stop.set()
        thread.join(20)
    assert [[problem.kind for problem in found] for found in late] == [[], [ProblemKind.LATE]]


@pytest.mark.django_db
def test_a_machine_without_jobs_is_not():
    assert readiness.problems() == ["jobs: have not been heard of"]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "{", "[]", '{"crl": 1}', '{"crl": {"every": "often"}}', "{}", "\0"])
def test_a_file_that_says_nothing_is_no_good_sign(text):
    states_file().write_text(text)
    assert readiness.problems() == ["jobs: have not been heard of"]
    assert [problem.kind for problem in health.problems()] == [ProblemKind.UNKNOWN]


@pytest.mark.django_db
def test_a_job_that_is_dead_or_hangs_is_named():
    write(crl=(5.0, 4.0, ""), sessions=(10.0, 31.0, ""), audit_seal=(60.0, 181.0, ""))
    assert readiness.problems() == [
        "job sessions: did not start when it should have",
        "job audit-seal: did not start when it should have",
    ]


@pytest.mark.django_db
def test_a_clock_that_was_put_back_does_not_make_a_dead_job_young():
    write(sessions=(10.0, -3600.0, ""))
    assert readiness.problems()


@pytest.mark.django_db
def test_what_a_job_met_is_the_operators_and_not_the_strangers():
    write(crl=(5.0, 1.0, "OperationalError: no such host db.internal"))
    assert readiness.problems() == ["job crl: failed at its last run"]
    (problem,) = health.problems()
    assert (problem.kind, problem.job, problem.detail) == (
        ProblemKind.FAILED, "crl", "OperationalError: no such host db.internal",
    )  # fmt: skip


@pytest.mark.django_db
def test_a_sweep_that_left_locks_unjudged_is_a_failed_one():
    runner = Runner([])
    runner.once(Job("sessions", 10.0, lambda: Sweep(looked_at=3, failed=2)))
    assert [problem.detail for problem in health.problems()] == ["2 locks or providers could not be judged"]
    runner.once(Job("sessions", 10.0, lambda: Sweep(looked_at=3)))
    assert health.problems() == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Refusal(Reason.REGISTER_DAMAGED, "row 17 of provider x"), "register: damaged"),
        (OperationalError("connection to 10.1.2.3 refused"), "database: no answer"),
    ],
)
def test_a_damaged_register_and_a_silent_database(jobs_run, monkeypatch, error, line):
    def broken():
        raise error

    monkeypatch.setattr(readiness, "current_register", broken)
    assert readiness.problems() == [line]


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [-31, 31, 86400])
def test_a_clock_that_differs_from_the_databases_ends_and_sweeps_nothing(jobs_run, monkeypatch, seconds):
    real = clock.database_now
    monkeypatch.setattr(clock, "database_now", lambda: real() - timedelta(seconds=seconds))
    assert readiness.problems() == ["clock: differs from the database's by more than 30 s"]
    jobs = {job.name: job for job in every_job.all_jobs()}
    for name in ("sessions", "spent-challenges"):
        with pytest.raises(clock.ClockError, match=r"s (ahead of|behind) the database's"):
            jobs[name].run()


@pytest.mark.django_db
@pytest.mark.parametrize("seconds", [-25, 0, 25])
def test_a_small_difference_is_none(jobs_run, monkeypatch, seconds):
    real = clock.database_now
    monkeypatch.setattr(clock, "database_now", lambda: real() - timedelta(seconds=seconds))
    assert readiness.problems() == []


@pytest.mark.django_db
def test_audit_rows_that_nobody_seals(jobs_run):
    record(Event.SERVER_FAILED)
    assert readiness.problems() == []
    later = timezone.now() + timedelta(minutes=6)
    write(crl=(5.0, -360.0, ""))
    waiting = "audit: rows have waited for their seal for more than 5 minutes"
    unknown = "audit: the trail does not know this machine's sealing key"
    assert readiness.problems(at=later) == [waiting, unknown]
    seal_audit(at=timezone.now())
    assert readiness.problems(at=later) == []


@pytest.mark.django_db
def test_a_disk_that_is_nearly_full(jobs_run, monkeypatch):
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**8))
    assert readiness.problems() == ["disk: less than 200 MB free where the data lie"]


@pytest.fixture
def looked(monkeypatch):
    """What a process finds at each look, the moment that its clock shows, how it is asked, and how often it looked."""
    found, now, reads = [[]], [1000.0], []
    monkeypatch.setattr(readiness, "problems", lambda: reads.append(1) or found[0])
    monkeypatch.setattr(readiness.time, "monotonic", lambda: now[0])
    return found, now, readiness.readiness(), reads


@pytest.mark.django_db
def test_whoever_asks_all_the_time_makes_nothing_be_read_all_the_time(looked):
    _, now, look, reads = looked
    assert len({str(look()) for _ in range(50)}) == len(reads) == 1
    now[0] += 1.0
    assert look() == []
    assert len(reads) == 2


@pytest.mark.django_db
def test_a_machine_is_ready_once_every_process_of_it_must_have_seen_the_crls(looked):
    found, now, look, _ = looked
    assert look() == [readiness.JUST_COME]  # this process is new: how long they are there is not known
    now[0] += LOOK_EVERY
    assert look() == []
    found[0] = ["revocation: this machine has no current CRL, so no lock can log in here"]
    now[0] += 1.0
    assert look() == found[0]
    found[0] = []
    now[0] += 1.0
    assert look() == [readiness.JUST_COME]
    now[0] += LOOK_EVERY
    assert look() == []


@pytest.mark.django_db(transaction=True)
def test_the_runner_says_that_it_runs_before_its_jobs_have_all_run():
    """A job that hangs in its first run must not be one that nobody knows of."""
    started, over = threading.Event(), threading.Event()

    def hangs():
        started.set()
        over.wait(60)

    runner = Runner([Job("hangs", 10.0, hangs), Job("other", 10.0, lambda: None)])
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        assert started.wait(20)
        assert set(json.loads(states_file().read_text())) == {"hangs", "other"}
        assert health.problems() == []
        late = health.problems(at=timezone.now() + timedelta(seconds=31))
        assert {problem.job for problem in late if problem.kind is ProblemKind.LATE} == {"hangs", "other"}
    finally:
        over.set()
        runner.stop.set()
        thread.join(20)
