"""The background work: when a source is asked again, and that nothing outside can stop the clock."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from revocation_source import HOUR, CrlWorld, conditional, moment

from calock.server.challenges.models import SpentChallenge
from calock.server.jobs import crls
from calock.server.jobs.crls import EVERY, SLOWEST, CrlSchedule, wait_after
from calock.server.jobs.runner import Job, Runner
from calock.server.providers.models import RevocationSource
from calock.server.providers.revocation import current_evidence
from calock.server.providers.revocation_health import Health, health_of
from calock.server.providers.revocation_refresh import Outcome, refresh_crl

NOW = moment()


def row(*, used: float = 0.1, life: timedelta = timedelta(days=1), error: str = "") -> RevocationSource:
    start = NOW - life * used
    return RevocationSource(kind="crl", url="http://x/", this_update=start, next_update=start + life, last_error=error)


@pytest.mark.parametrize(
    ("outcome", "failures", "seconds"),
    [
        pytest.param(Outcome(row(), size=500), 0, EVERY, id="small"),
        pytest.param(Outcome(row(), size=40_000_000, validators=True), 0, EVERY, id="large-but-conditional"),
        pytest.param(Outcome(row(), size=40_000_000), 0, 660.0, id="large"),
        pytest.param(Outcome(row(), size=64_000_000_000), 0, SLOWEST, id="capped"),
        pytest.param(Outcome(row(), error="x"), 1, 60.0, id="first-failure"),
        pytest.param(Outcome(row(), error="x"), 3, 240.0, id="third-failure"),
        pytest.param(Outcome(row(), error="x"), 50, SLOWEST, id="failing-for-long"),
        pytest.param(Outcome(row(used=0.8), error="x"), 50, EVERY, id="failing-and-old"),
        pytest.param(Outcome(row(used=1.5), error="x"), 50, EVERY, id="failing-and-expired"),
        pytest.param(Outcome(row(used=0.5, life=timedelta(seconds=100)), size=1), 0, 25.0, id="short-lived: by three quarters"),
    ],
)
def test_the_next_attempt(outcome, failures, seconds):
    assert wait_after(outcome, failures, at=NOW) == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    ("source", "health"),
    [
        (row(), Health.GOOD),
        (row(error="x"), Health.FAILING),
        (row(used=0.76), Health.AGEING),
        (row(used=0.76, error="x"), Health.AGEING),
        (row(used=1.0), Health.EXPIRED),
        (RevocationSource(kind="crl", url="http://x/"), Health.NEVER),
        (RevocationSource(kind="crl", url="http://x/", last_error="x"), Health.FAILING),
        (RevocationSource(kind="ocsp", url="http://x/", last_ok_at=NOW), Health.GOOD),
    ],
)
def test_health(source, health):
    assert health_of(source, at=NOW).health is health


@pytest.mark.django_db(transaction=True)
def test_the_schedule_fetches_what_is_due_once(source):
    world = CrlWorld(source)
    clock = [1000.0]
    schedule = CrlSchedule(clock=lambda: clock[0])
    assert schedule.tick() == 2
    schedule.wait()
    assert len(current_evidence().crls_for(world.path[1])) == 1
    assert schedule.tick() == 0
    clock[0] += EVERY + 1
    assert schedule.tick() == 2
    schedule.wait()
    assert sorted(source.asked) == ["GET /issuing.crl"] * 2 + ["GET /root.crl"] * 2


@pytest.mark.django_db(transaction=True)
def test_a_slow_source_delays_no_other_and_is_not_asked_twice(source):
    CrlWorld(source)
    slow = threading.Event()

    def wait(handler):
        slow.wait(20)
        handler.send(b"")

    source.answers["/issuing.crl"] = wait
    clock = [1000.0]
    schedule = CrlSchedule(clock=lambda: clock[0])
    try:
        assert schedule.tick() == 2
        clock[0] += 10_000
        schedule._plans[RevocationSource.objects.get(url=source.url("/root.crl")).pk].running.result(20)
        assert schedule.tick() <= 1  # only the root's
    finally:
        slow.set()
    schedule.wait()
    assert source.asked.count("GET /issuing.crl") == 1


@pytest.mark.django_db(transaction=True)
def test_many_at_once_fetch_a_source_one_after_the_other(source):
    """Single-flight: eight at once cost one download when the source can say that nothing changed."""
    world = CrlWorld(source)
    source.answers["/issuing.crl"] = conditional(world.crl())
    row = world.issuing
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(refresh_crl(row))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [outcome.error for outcome in outcomes] == [""] * 8
    assert sum(outcome.changed for outcome in outcomes) == 1
    assert sum(outcome.size > 0 for outcome in outcomes) == 1


@pytest.mark.django_db(transaction=True)
def test_an_ageing_crl_is_warned_of_once_in_a_while(source, monkeypatch):
    world = CrlWorld(source)
    now = moment()
    world.publish(world.crl(this_update=now - 8 * HOUR, next_update=now + 2 * HOUR))
    warned = []
    monkeypatch.setattr(crls.log, "error", lambda event, **values: warned.append((event, values["url"])))
    clock = [1000.0]
    schedule = CrlSchedule(clock=lambda: clock[0])
    for _ in range(4):
        schedule.tick()
        schedule.wait()
        clock[0] += 61
    assert warned == [("crl_growing_old", source.url("/issuing.crl"))]


@pytest.mark.django_db(transaction=True)
def test_a_job_that_fails_runs_again_and_disturbs_no_other():
    ran = threading.Semaphore(0)
    failed = threading.Semaphore(0)

    def fails():
        failed.release()
        raise RuntimeError("broken")

    runner = Runner([Job("good", 0.01, ran.release), Job("bad", 0.01, fails)])
    thread = threading.Thread(target=runner.run)
    thread.start()
    try:
        for _ in range(3):
            assert ran.acquire(timeout=20)
            assert failed.acquire(timeout=20)
    finally:
        runner.stop.set()
        thread.join(20)
    states = json.loads((Path(settings.CALOCK.data) / "jobs.json").read_text())
    assert states["bad"]["lastError"] == "RuntimeError: broken"
    assert states["good"]["failures"] == 0


@pytest.mark.django_db(transaction=True)
def test_one_runner_a_machine_and_the_second_takes_over():
    first_ran, second_ran = threading.Event(), threading.Event()
    first, second = Runner([Job("a", 5, first_ran.set)]), Runner([Job("b", 5, second_ran.set)])
    threads = [threading.Thread(target=first.run), threading.Thread(target=second.run)]
    threads[0].start()
    try:
        assert first_ran.wait(20)
        threads[1].start()
        assert not second_ran.wait(0.3)
        first.stop.set()
        assert second_ran.wait(20)
    finally:
        first.stop.set()
        second.stop.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.django_db(transaction=True)
def test_the_command_runs_every_job_once_for_who_asks(source):
    world = CrlWorld(source)
    SpentChallenge.objects.create(digest="0" * 64, expires_at=moment() - HOUR)
    out = StringIO()
    call_command("jobs", "--once", stdout=out)
    assert "spent-challenges: 1" in out.getvalue()
    assert world.issuing.last_ok_at is not None


@pytest.mark.django_db
def test_the_refresh_command_says_how_each_source_went(source):
    world = CrlWorld(source)
    out = StringIO()
    call_command("refresh_revocation", stdout=out)
    assert out.getvalue().count("new CRL, 0 entries") == 2
    source.answers.pop("/issuing.crl")
    with pytest.raises(CommandError, match="1 sources failed"):
        call_command("refresh_revocation", "--provider", world.family.provider, stdout=out)
    assert "answered with status 404" in out.getvalue()
