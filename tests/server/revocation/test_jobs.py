"""The background work: when a source is asked again, and that none keeps another from being asked."""

from __future__ import annotations

import base64
import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from worlds.revocation import HOUR, CrlWorld, conditional, moment

from calock.server.challenges.models import SpentChallenge
from calock.server.jobs import crls
from calock.server.jobs.crls import AT_ONCE, EVERY, FAILING_AT_ONCE, SLOWEST, WHOLE_EVERY, CrlSchedule, wait_after
from calock.server.providers.models import CaRecord, Provider, RevocationSource
from calock.server.revocation import ingest
from calock.server.revocation.evidence import current_evidence
from calock.server.revocation.health import Health, health_of
from calock.server.revocation.refresh import Outcome, refresh_crl

NOW = moment()


CA = "ab" * 32
LIMITED = {"revocation": {"crl_max_age": 43_200}}
EMERGENCY = {"revocation": {"crl_max_age": 43_200, "emergencies": [f"{CA}:{NOW + timedelta(hours=1):%Y-%m-%dT%H:%M:%S+00:00}"]}}


def row(
    *, used: float = 0.1, life: timedelta = timedelta(days=1), error: str = "", rules: dict | None = None, anchor: bool = False
) -> RevocationSource:
    start = NOW - life * used
    ca = CaRecord(provider=Provider(rules=rules or {}), spki_sha256=CA, anchor=anchor)
    return RevocationSource(
        kind="crl", url="http://x/", ca_record=ca, this_update=start, next_update=start + life, last_error=error
    )


@pytest.mark.parametrize(
    ("outcome", "failures", "seconds"),
    [
        pytest.param(Outcome(row(), size=500), 0, EVERY, id="small"),
        pytest.param(Outcome(row(), size=40_000_000), 0, EVERY, id="large"),
        pytest.param(Outcome(row(), error="x"), 1, 30.0, id="first-failure"),
        pytest.param(Outcome(row(), error="x"), 2, 60.0, id="second-failure"),
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
        (row(used=0.3, rules=LIMITED), Health.GOOD),
        (row(used=0.4, rules=LIMITED), Health.AGEING),
        (row(used=0.51, rules=LIMITED), Health.EXPIRED),  # by the operators' own limit of twelve hours
        (row(used=0.51, rules=LIMITED, anchor=True), Health.GOOD),
        (row(used=0.51, rules=EMERGENCY), Health.GOOD),
        (RevocationSource(kind="crl", url="http://x/"), Health.NEVER),
        (RevocationSource(kind="crl", url="http://x/", last_error="x"), Health.FAILING),
        (RevocationSource(kind="ocsp", url="http://x/", last_ok_at=NOW), Health.GOOD),
    ],
)
def test_health(source, health):
    assert health_of(source, at=NOW).health is health


@pytest.mark.django_db(transaction=True)
def test_the_schedule_fetches_what_is_due_once(source):
    world = CrlWorld.installed(source)
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
    CrlWorld.installed(source)
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
def test_a_source_without_validators_is_looked_at_by_its_first_octets_and_read_whole_now_and_then(source):
    world = CrlWorld.installed(source)
    body = world.crl(entries=1000)
    sent = []

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for start in range(0, len(body), 4096):
            handler.wfile.write(body[start : start + 4096])
            handler.wfile.flush()
        sent.append(len(body))

    source.answers["/issuing.crl"] = answer
    outcomes = []

    def refresh(row, *, peek):
        outcome = refresh_crl(row, peek=peek)
        if row.url.endswith("/issuing.crl"):
            outcomes.append((outcome.changed, outcome.whole, outcome.ok))
        return outcome

    clock = [1000.0]
    schedule = CrlSchedule(refresh, clock=lambda: clock[0])
    looks = int(WHOLE_EVERY / EVERY)
    for _ in range(looks + 2):
        schedule.tick()
        schedule.wait()
        clock[0] += EVERY
    assert outcomes == [(True, True, True), *[(False, False, True)] * (looks - 1), (False, True, True), (False, False, True)]
    body = world.crl(entries=1001)
    schedule.tick()
    schedule.wait()
    assert outcomes[-1] == (True, True, True)


@pytest.mark.django_db(transaction=True)
def test_the_first_octets_do_not_hide_a_new_crl_of_the_same_length(source):
    """One more second of thisUpdate is all that changes, and stands in the first hundred octets."""
    world = CrlWorld.installed(source)
    now = moment()
    fields = {"number": 40, "next_update": now + HOUR, "entries": 1000}
    world.publish(world.crl(this_update=now - 10 * timedelta(seconds=1), **fields))
    assert refresh_crl(world.issuing).ok
    world.publish(world.crl(this_update=now - 9 * timedelta(seconds=1), **fields))
    assert refresh_crl(world.issuing, peek=True).changed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("form", [bytes, base64.encodebytes])
def test_the_certificates_of_a_container_do_not_hide_a_new_crl_behind_them(source, form):
    world = CrlWorld.installed(source)
    now = moment()
    for seconds, peek in ((10, False), (9, True)):
        crl = world.crl(this_update=now - timedelta(seconds=seconds), number=40, next_update=now + HOUR)
        world.publish(form(world.container(crl, certificates=12)))
        assert refresh_crl(world.issuing, peek=peek).changed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("issuer_is_long", [False, True])
def test_the_first_octets_of_a_bundle_or_behind_a_long_name_decide_nothing(source, issuer_is_long):
    world = CrlWorld.installed(source)
    parts = [world.crl(entries=1000, number=50), world.crl(number=51)]
    if issuer_is_long:
        body = world.publish(parts[0])
    else:
        pem = (b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(part) + b"-----END X509 CRL-----\n" for part in parts)
        body = world.publish(b"".join(pem))
    with pytest.MonkeyPatch.context() as patch:
        if issuer_is_long:
            patch.setattr(ingest, "MAX_NAME", 5)
        assert refresh_crl(world.issuing).ok
        outcome = refresh_crl(world.issuing, peek=True)
    assert (outcome.ok, outcome.whole, outcome.size) == (True, True, len(body))


@pytest.mark.django_db(transaction=True)
def test_sources_that_let_us_wait_keep_no_other_from_being_fetched(source):
    """As many as there were threads for, once: then nobody's CRL came any more."""
    world = CrlWorld.installed(source)
    for number in range(8):
        row = RevocationSource(ca_record=world.root.ca_record, kind="crl", url=source.url(f"/{number}.crl"), private_network=True)
        row.save()
        source.answers[f"/{number}.crl"] = lambda handler: handler.server.over.wait(60)
    fetched = threading.Semaphore(0)

    def refresh(row, *, peek):
        outcome = refresh_crl(row, peek=peek)
        if outcome.changed:
            fetched.release()
        return outcome

    schedule = CrlSchedule(refresh)
    schedule.tick()
    for _ in range(2):
        assert fetched.acquire(timeout=20)
    source.over.set()
    schedule.wait()


@pytest.mark.django_db(transaction=True)
def test_a_disk_that_takes_nothing_keeps_no_crl_from_being_fetched(source, monkeypatch):
    CrlWorld.installed(source)

    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(crls, "forget_removed_sources", full)
    schedule = CrlSchedule()
    with pytest.raises(OSError, match="No space"):
        schedule.tick()
    schedule.wait()
    assert sorted(source.asked) == ["GET /issuing.crl", "GET /root.crl"]


@pytest.mark.django_db(transaction=True)
def test_a_fault_in_one_attempt_is_logged_and_the_next_comes_in_time(source):
    CrlWorld.installed(source)
    asked = []

    def refresh(row, *, peek):
        asked.append(row.url)
        raise RuntimeError("broken")

    clock = [1000.0]
    schedule = CrlSchedule(refresh, clock=lambda: clock[0])
    for _ in range(3):
        assert schedule.tick() == 2
        schedule.wait()
        assert schedule.tick() == 0
        clock[0] += EVERY
    assert len(asked) == 6


@pytest.mark.django_db(transaction=True)
def test_many_at_once_fetch_a_source_one_after_the_other(source):
    """Single-flight: eight at once cost one download when the source can say that nothing changed."""
    world = CrlWorld.installed(source)
    source.answers["/issuing.crl"] = conditional(world.crl())
    row = world.issuing
    outcomes: list[Outcome] = []

    def refresh():
        outcomes.append(refresh_crl(row))
        connections.close_all()

    threads = [threading.Thread(target=refresh) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [outcome.error for outcome in outcomes] == [""] * 8
    assert sum(outcome.changed for outcome in outcomes) == 1
    assert sum(outcome.size > 0 for outcome in outcomes) == 1


@pytest.mark.django_db(transaction=True)
def test_an_ageing_crl_is_warned_of_once_in_a_while(source, monkeypatch):
    world = CrlWorld.installed(source)
    now = moment()
    world.publish(world.crl(this_update=now - 8 * HOUR, next_update=now + 2 * HOUR))
    warned = []
    monkeypatch.setattr(crls.log, "error", lambda event, **values: warned.append((event, values["url"])))
    clock = [1000.0]
    schedule = CrlSchedule(clock=lambda: clock[0])
    for _ in range(4):
        schedule.tick()
        schedule.wait()
        clock[0] += EVERY + 1
    assert warned == [("crl_growing_old", source.url("/issuing.crl"))]


@pytest.mark.django_db(transaction=True)
def test_the_command_runs_every_job_once_for_who_asks(source):
    world = CrlWorld.installed(source)
    SpentChallenge.objects.create(digest="0" * 64, spent_at=moment() - 25 * HOUR)
    out = StringIO()
    call_command("jobs", "--once", stdout=out)
    assert "spent-challenges: 1" in out.getvalue()
    assert world.issuing.last_ok_at is not None


def test_the_refresh_command_says_how_each_source_went(world, source):
    out = StringIO()
    call_command("refresh_revocation", stdout=out)
    assert out.getvalue().count("new CRL, 0 entries") == 2
    source.answers.pop("/issuing.crl")
    with pytest.raises(CommandError, match="1 sources failed"):
        call_command("refresh_revocation", "--provider", world.family.provider, stdout=out)
    assert "answered with status 404" in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_sources_that_hang_keep_none_waiting_that_answer(source):
    world = CrlWorld.installed(source)
    for number in range(2 * FAILING_AT_ONCE):
        url = source.url(f"/{number}.crl")
        RevocationSource(
            ca_record=world.root.ca_record, kind="crl", url=url, private_network=True, last_error="no answer in time"
        ).save()
    over = threading.Event()
    answered = []

    def refresh(row, *, peek):
        if row.last_error:
            over.wait(30)
            return Outcome(row, error="no answer in time")
        answered.append(row.url)
        return Outcome(row)

    clock = [1000.0]
    schedule = CrlSchedule(refresh, clock=lambda: clock[0])
    try:
        for looks in (1, 2, 3):
            schedule.tick()
            for row in (world.root, world.issuing):
                schedule._plans[row.pk].running.result(20)
            assert len(answered) == 2 * looks
            clock[0] += EVERY + 1
    finally:
        over.set()
    schedule.wait()


@pytest.mark.django_db(transaction=True)
def test_every_source_gets_its_turn_however_many_a_provider_has(source):
    world = CrlWorld.installed(source)
    for number in range(3 * AT_ONCE):
        RevocationSource(ca_record=world.root.ca_record, kind="crl", url=source.url(f"/{number}.crl"), private_network=True).save()
    asked = []

    def refresh(row, *, peek):
        asked.append(row.url)
        return Outcome(row)

    clock = [1000.0]
    schedule = CrlSchedule(refresh, clock=lambda: clock[0])
    for rounds in (1, 2, 3):
        assert schedule.tick() == 3 * AT_ONCE + 2
        schedule.wait()
        assert len(asked) == rounds * len(set(asked)) == rounds * (3 * AT_ONCE + 2)
        clock[0] += EVERY + 1
