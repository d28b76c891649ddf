"""What a load balancer and a monitoring system learn, and how little a stranger does."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.jobs import health, probes
from calock.server.jobs.health import ProblemKind
from calock.server.jobs.runner import Job, Runner, states_file


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


def ready() -> tuple[int, str]:
    answer = Client(headers={"host": "10.0.0.1"}).get("/readyz")  # a client of its own has a handler of its own
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, answer.content.decode()


@pytest.mark.django_db
def test_a_machine_whose_jobs_run_is_ready():
    write(crl=(5.0, 4.0, ""), sessions=(10.0, 29.0, ""), audit_seal=(60.0, 179.0, ""))
    assert ready() == (200, "ok\n")
    assert health.problems() == []


@pytest.mark.django_db
def test_a_process_that_answers_lives_whatever_else_is_wrong():
    answer = Client(headers={"host": "10.0.0.1"}).get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert ready() == (503, "jobs: have not been heard of\n")


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["", "{", "[]", '{"crl": 1}', '{"crl": {"every": "often"}}', "{}", "\0"])
def test_a_file_that_says_nothing_is_no_good_sign(text):
    states_file().write_text(text)
    assert ready() == (503, "jobs: have not been heard of\n")
    assert [problem.kind for problem in health.problems()] == [ProblemKind.UNKNOWN]


@pytest.mark.django_db
def test_a_job_that_is_dead_or_hangs_is_named():
    write(crl=(5.0, 4.0, ""), sessions=(10.0, 31.0, ""), audit_seal=(60.0, 181.0, ""))
    assert ready() == (503, "job sessions: did not start when it should have\njob audit-seal: did not start when it should have\n")


@pytest.mark.django_db
def test_a_clock_that_was_put_back_does_not_make_a_dead_job_young():
    write(sessions=(10.0, -3600.0, ""))
    assert ready()[0] == 503


@pytest.mark.django_db
def test_what_a_job_met_is_the_operators_and_not_the_strangers():
    write(crl=(5.0, 1.0, "OperationalError: no such host db.internal"))
    assert ready() == (503, "job crl: failed at its last run\n")
    (problem,) = health.problems()
    assert (problem.kind, problem.job, problem.detail) == (
        ProblemKind.FAILED, "crl", "OperationalError: no such host db.internal",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (Refusal(Reason.REGISTER_DAMAGED, "row 17 of provider x"), "register: damaged\n"),
        (OperationalError("connection to 10.1.2.3 refused"), "database: no answer\n"),
    ],
)
def test_a_damaged_register_and_a_silent_database(monkeypatch, error, line):
    def broken():
        raise error

    write(crl=(5.0, 1.0, ""))
    monkeypatch.setattr(probes, "current_register", broken)
    assert ready() == (503, line)


@pytest.mark.django_db
def test_whoever_asks_all_the_time_makes_nothing_be_read_all_the_time(monkeypatch):
    reads = []
    write(crl=(5.0, 1.0, ""))
    monkeypatch.setattr(probes, "current_register", lambda: reads.append(1))
    monkeypatch.setattr(probes.time, "monotonic", lambda: 1000.0)
    client = Client(headers={"host": "10.0.0.1"})
    assert {client.get("/readyz").status_code for _ in range(50)} == {200}
    assert len(reads) == 1
    monkeypatch.setattr(probes.time, "monotonic", lambda: 1001.0)
    client.get("/readyz")
    assert len(reads) == 2


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
