"""What a login waits for: one deadline for all sources, and a source that lets one person wait lets nobody else."""

from __future__ import annotations

import threading

import pytest
from django.db import connections
from worlds.revocation import CrlWorld, conditional, endless, moment

from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.refusals import Reason
from calock.core.verdict import Step
from calock.server.egress.connections import Limits, Patience
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation import live, live_crl, ocsp_cache, store
from calock.server.revocation.evidence import current_evidence, forget_evidence, graph_of
from calock.server.revocation.limits import CRL_LIVE_LIMITS, OCSP_LIMITS
from calock.server.revocation.live import with_live_answers
from calock.server.revocation.refresh import refresh_crl


class Hanging:
    """Takes the request and answers nothing."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)

    def __call__(self, handler) -> None:
        self.arrived.release()
        handler.server.over.wait(60)


def judged(world):
    steps = frozenset({Step.GATE, Step.PATH, Step.REVOCATION})

    def verify(evidence):
        return verify_certificate(world.lock.certificate, VerificationInputs(current_register(), moment(), evidence, steps=steps))

    return with_live_answers(verify).reason


@pytest.fixture
def hanging():
    return Hanging()


@pytest.fixture
def four(world, source, hanging):
    """The lock's CA published its CRL; that of the CA above is to come from one of four sources, and none of them answers."""
    assert refresh_crl(world.issuing).ok
    forget_evidence()
    for number in range(3):
        url = source.url(f"/{number}.crl")
        RevocationSource(ca_record=world.root.ca_record, kind="crl", url=url, private_network=True).save()
    for path in ("/root.crl", "/0.crl", "/1.crl", "/2.crl"):
        source.answers[path] = hanging
    source.asked.clear()
    return world


def test_f20_one_login_waits_for_all_its_sources_together_not_for_each(four, source, hanging, monkeypatch):
    """The first that hangs uses the time up; the others get their turn at later logins, and nobody asks the first again."""
    monkeypatch.setattr(live, "WAIT", 0.8)
    for number in range(4):
        assert judged(four) is Reason.REVOCATION_UNAVAILABLE
        assert hanging.arrived.acquire(timeout=20)
        assert len(source.asked) == number + 1
    assert len(set(source.asked)) == 4
    assert judged(four) is Reason.REVOCATION_UNAVAILABLE
    assert len(source.asked) == 4  # each was tried; for half a minute nobody waits for any of them


def test_f20_a_source_that_lives_is_reached_behind_one_that_is_dead(four, source, monkeypatch):
    monkeypatch.setattr(live, "WAIT", 0.8)
    source.serve("/2.crl", four.crl(authority=four.family.root))
    reasons = [judged(four) for _ in range(4)]
    assert reasons[0] is Reason.REVOCATION_UNAVAILABLE
    assert reasons[-1] is None


def test_f20_ocsp_and_crls_share_the_deadline(db, source, hanging, monkeypatch):
    world = CrlWorld.installed(source, ocsp=True)
    assert refresh_crl(world.root).ok
    forget_evidence()
    for path in ("/ocsp", "/issuing.crl"):
        source.answers[path] = hanging
    source.asked.clear()
    monkeypatch.setattr(live, "WAIT", 0.8)
    assert judged(world) is Reason.REVOCATION_UNAVAILABLE
    assert hanging.arrived.acquire(timeout=20)
    assert source.asked == ["POST /ocsp"]


def test_f20_what_is_fetched_for_the_lock_and_then_for_its_ca_shares_the_deadline_too(world, source, monkeypatch):
    begun = []

    def patience(seconds):
        begun.append(seconds)
        return Patience(seconds)

    monkeypatch.setattr(live, "Patience", patience)
    assert judged(world) is None
    assert source.asked == ["GET /issuing.crl", "GET /root.crl"]
    assert begun == [live.WAIT]


def test_f20_what_would_take_long_to_read_is_left_to_the_background(world, source):
    assert refresh_crl(world.root).ok
    forget_evidence()
    source.answers["/issuing.crl"] = endless(9 << 20, announced=True)
    assert judged(world) is Reason.REVOCATION_UNAVAILABLE
    assert world.issuing.last_error == "announces 9437184 bytes; at most 8388608"
    assert refresh_crl(world.issuing).size == 0
    assert "not a CRL" in world.issuing.last_error  # it was read


def test_f20_a_responder_that_nobody_had_the_time_to_ask_did_not_fail(db, source):
    world = CrlWorld.installed(source, ocsp=True)
    issuer = current_register().with_key(world.path[1].spki_sha256)[0]
    spent = Patience(0.0)
    graph = graph_of(issuer.provider)
    assert not live.fetch_ocsp(world.leaf, issuer.certificate, graph=graph, at=moment(), patience=spent)
    assert source.asked == []
    assert not ocsp_cache.asked_lately(issuer.certificate, world.leaf.serial, graph=graph)
    assert RevocationSource.objects.get(kind="ocsp").last_error == ""


def test_patience_is_one_for_everything_that_it_is_shown():
    now = [100.0]
    patience = Patience(5.0, lambda: now[0])
    assert patience.within(OCSP_LIMITS) == OCSP_LIMITS
    now[0] += 3.0
    assert patience.within(CRL_LIVE_LIMITS) == Limits(CRL_LIVE_LIMITS.size, 2.0)
    now[0] += 3.0
    assert patience.left == 0.0


class Person:
    """Somebody who logs in, in a thread of its own."""

    def __init__(self, world) -> None:
        self.reason: object = "waiting"
        self._world = world
        self._thread = threading.Thread(target=self._log_in)
        self._thread.start()

    def _log_in(self) -> None:
        try:
            self.reason = judged(self._world)
        finally:
            connections.close_all()

    def answered(self, seconds: float = 20) -> object:
        self._thread.join(seconds)
        return self.reason


@pytest.mark.django_db(transaction=True)
def test_f20_a_second_person_does_not_wait_for_the_source_that_lets_the_first_wait(source, monkeypatch):
    monkeypatch.setattr(live, "WAIT", 50.0)
    monkeypatch.setattr(live_crl, "CRL_LIVE_LIMITS", Limits(1 << 20, 50.0))
    monkeypatch.setattr(live_crl, "JOIN", 0.1)
    world = CrlWorld.installed(source)
    assert refresh_crl(world.issuing).ok
    asked, go = threading.Event(), threading.Event()

    def slow(handler):
        asked.set()
        go.wait(60)
        handler.send(world.crl(authority=world.family.root))

    source.answers["/root.crl"] = slow
    first = Person(world)
    assert asked.wait(20)
    second = Person(world)
    assert second.answered() is Reason.REVOCATION_UNAVAILABLE
    assert first.reason == "waiting"
    go.set()
    assert first.answered() is None
    assert source.asked.count("GET /root.crl") == 1


@pytest.mark.django_db(transaction=True)
def test_people_who_come_at_once_to_a_machine_without_data_are_all_let_in_by_one_fetch(source, monkeypatch):
    monkeypatch.setattr(live_crl, "JOIN", 20.0)
    monkeypatch.setattr(live, "WAIT", 50.0)
    world = CrlWorld.installed(source)
    assert refresh_crl(world.issuing).ok
    everybody = threading.Barrier(4)
    body = world.crl(authority=world.family.root)

    def answer(handler):
        everybody.wait(20)  # with the three who join
        conditional(body)(handler)

    source.answers["/root.crl"] = answer
    real = live_crl.Attempts.join

    def join(self, pk, seconds):
        everybody.wait(20)
        real(self, pk, seconds)

    monkeypatch.setattr(live_crl.Attempts, "join", join)
    people = [Person(world) for _ in range(4)]
    assert [person.answered() for person in people] == [None] * 4
    assert source.asked.count("GET /root.crl") == 1


@pytest.mark.django_db
def test_what_another_machine_fetched_a_moment_ago_is_fetched_here_as_well(source):
    """The row is shared, the files are not: its "just now" is no reason to refuse people on this machine."""
    world = CrlWorld.installed(source)
    for row in (world.root, world.issuing):
        assert refresh_crl(row).ok
    store.forget({(world.issuing.ca_record.spki_sha256, world.issuing.url)})  # as it is on a new machine
    forget_evidence()
    assert not current_evidence().crls_for(world.path[2])
    assert judged(world) is None
