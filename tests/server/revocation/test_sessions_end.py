"""A45, R8: sessions of a lock that stops being good end at the next sweep; everybody else stays."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from django.db import OperationalError
from worlds.practice import YEARS, spare_key
from worlds.responses import ocsp_answer
from worlds.revocation import HOUR, CrlWorld, moment, nonce_of, session_with

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, verify_certificate
from calock.core.refusals import Reason
from calock.core.verdict import Step
from calock.demo import pki
from calock.demo.pki import make_key, make_root, serial_of
from calock.server.audit.models import AuditEvent
from calock.server.jobs import paths, sessions
from calock.server.jobs.ocsp import OcspRenewal
from calock.server.jobs.paths import Grounds
from calock.server.jobs.sessions import sweep_sessions
from calock.server.locks.models import LockCertificate
from calock.server.providers import trust
from calock.server.providers.installation import CaToInstall, install_provider
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, RevocationSource, changes_here
from calock.server.providers.trust import current_register, forget_register
from calock.server.revocation.evidence import current_evidence, forget_evidence
from calock.server.revocation.refresh import refresh_crl
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db
END_OF_TIME = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture
def world(each_world):
    refresh(each_world)
    return each_world


def refresh(world):
    assert refresh_crl(world.root).ok
    assert refresh_crl(world.issuing).ok
    forget_evidence()


@pytest.fixture
def two(world):
    """The session of the world's lock, and of a neighbour's of the same CA."""
    other = world.family.issuing.issue_lock(
        "neighbour", make_key(world.leaf.algorithm), not_before=moment() - HOUR, not_after=moment() + YEARS
    )
    return session_with(world, world.leaf, "one"), session_with(world, Certificate.parse(other), "two")


def ended(session: Session) -> str:
    session.refresh_from_db()
    return session.end_reason if session.ended_at else ""


def test_nobody_is_thrown_out_without_a_cause(two):
    assert str(sweep_sessions()) == "0 sessions ended, 2 locks looked at"
    assert [ended(session) for session in two] == ["", ""]


@pytest.mark.parametrize(("reason", "seen"), [("keyCompromise", "certificate revoked"), ("certificateHold", "certificate on hold")])
def test_a45_revoked_while_the_session_lives(world, two, reason, seen):
    world.publish(reason=reason)
    refresh(world)
    assert sweep_sessions().ended == 1
    assert [ended(session) for session in two] == [seen, ""]
    row = AuditEvent.objects.get(event="session:revoked")
    assert (row.lock, row.details["count"], row.details["why"]) == (two[0].lock_id, 1, seen)
    certificate = LockCertificate.objects.get(lock=two[0].lock)
    assert (certificate.revoked_at is not None) == (seen == "certificate revoked")
    assert sweep_sessions().ended == 0


def test_a45_the_certificate_runs_out(two):
    at = Certificate.parse(bytes(LockCertificate.objects.get(lock=two[0].lock).der)).not_after + timedelta(seconds=1)
    Session.objects.update(expires_at=at + HOUR)
    sweep_sessions(at=at)
    assert [ended(session) for session in two] == ["certificate expired", ""]


def test_the_ca_itself_is_revoked(world, two):
    issuing = Certificate.parse(world.family.issuing.certificate)
    world.source.serve("/root.crl", world.crl(authority=world.family.root, reason="cACompromise", revoked=issuing.serial))
    refresh(world)
    assert sweep_sessions().ended == 2
    assert {ended(session) for session in two} == {"ca revoked"}


def test_the_provider_is_suspended(world, two):
    provider = Provider.objects.get(code=world.family.provider)
    provider.state = ProviderState.SUSPENDED
    provider.save()
    forget_register()
    assert sweep_sessions().ended == 2
    assert {ended(session) for session in two} == {"ca not recognised"}


def test_the_ca_is_withdrawn(world, two):
    record = world.issuing.ca_record
    record.state = CaState.WITHDRAWN
    record.save()
    forget_register()
    assert sweep_sessions().ended == 2


def test_a_dead_crl_source_throws_nobody_out(world, two, source):
    source.stop()
    refresh_crl(world.issuing)
    late = moment() + 8 * HOUR
    assert sweep_sessions(at=late).ended == 0
    assert [ended(session) for session in two] == ["", ""]


def many(world, count: int) -> list[Session]:
    """Sessions of as many locks of the world's CA."""
    made = []
    for number in range(count):
        der = world.family.issuing.issue_lock(
            f"user {number}", spare_key(world.leaf.algorithm, 0), not_before=moment() - HOUR, not_after=moment() + YEARS
        )
        made.append(session_with(world, Certificate.parse(der), f"lock {number}"))
    return made


def test_two_roots_of_one_name_the_sweep_takes_the_path_that_a_login_takes(db, source):
    """The issuing CA stands under the second root, which has revoked it; the first has the same name and says nothing."""
    now = moment()
    dates = {"not_before": now - YEARS, "not_after": now + YEARS}
    first, second = (make_root("one name", "EC", make_key("EC"), **dates) for _ in range(2))
    issuing = second.intermediate("issuing", **dates)
    revoked = [(serial_of(issuing.certificate), now - HOUR, "cACompromise")]
    for path, authority, entries in (("/1", first, []), ("/2", second, revoked), ("/i", issuing, [])):
        source.serve(path, authority.crl(entries, this_update=now - HOUR, next_update=now + HOUR))
    install_provider(
        code="roll", values={"name": "r", "short_name": "r"}, rules={}, sites=["shanxi"],
        cas=[
            CaToInstall(authority.certificate, anchor=anchor, crl_urls=(source.url(path),), private_network=True)
            for path, authority, anchor in (("/1", first, True), ("/2", second, True), ("/i", issuing, False))
        ],
    )  # fmt: skip
    forget_register()
    for row in RevocationSource.objects.all():
        assert refresh_crl(row).ok
    forget_evidence()
    leaf = Certificate.parse(issuing.issue_lock("x", make_key("EC"), not_before=now - HOUR, not_after=now + YEARS))
    session = session_with(None, leaf, "one", CaRecord.objects.get(anchor=False))
    setting = VerificationInputs(
        current_register(), now, current_evidence(), steps=frozenset({Step.GATE, Step.PATH, Step.REVOCATION})
    )
    assert verify_certificate(leaf.der, setting).reason is Reason.CA_REVOKED
    assert sweep_sessions().ended == 1
    assert ended(session) == "ca revoked"


def test_a_ca_certificate_on_the_path_runs_out(world):
    leaf = world.family.issuing.issue_lock(
        "x", make_key(world.leaf.algorithm), not_before=moment() - HOUR, not_after=moment() + 2 * YEARS
    )
    session = session_with(world, Certificate.parse(leaf), "one")
    at = moment() + YEARS + timedelta(days=1)
    Session.objects.update(expires_at=at + HOUR)
    assert sweep_sessions(at=at).ended == 1
    assert ended(session) == "ca certificate expired"


def test_the_rules_were_changed_so_that_the_path_no_longer_holds(world, two):
    assert sweep_sessions().ended == 0  # the path is kept from here on
    provider = Provider.objects.get(code=world.family.provider)
    provider.rules = {**provider.rules, "required_policies": ["1.2.3.4"]}
    provider.save()
    assert sweep_sessions().ended == 2
    assert {ended(session) for session in two} == {"certification path broken"}
    assert {row.reason for row in AuditEvent.objects.filter(event="session:revoked")} == {"POLICY_NOT_ALLOWED"}


def test_a_clock_that_went_back_throws_nobody_out(world):
    der = world.family.issuing.issue_lock(
        "x", make_key(world.leaf.algorithm), not_before=moment() - timedelta(minutes=1), not_after=moment() + HOUR
    )
    session = session_with(world, Certificate.parse(der), "one")
    assert str(sweep_sessions(at=moment() - HOUR)) == "0 sessions ended, 1 locks looked at"
    assert ended(session) == ""


def test_nobody_is_thrown_out_by_an_old_copy_of_the_register(world, two):
    """Another process may know a CA that was recognised this second, and let its locks in, before this one looks."""
    old = trust._keeper._kept
    anchor = CaRecord.objects.get(anchor=True)
    anchor.state = CaState.SUSPENDED
    anchor.save()
    current_register()
    without = trust._keeper._kept
    anchor.state = CaState.RECOGNISED
    anchor.save()
    trust._keeper._kept = replace(without, changes=changes_here(), checked_at=time.monotonic())
    assert current_register().fingerprint != old.loaded.register.fingerprint
    assert sweep_sessions().ended == 0
    assert [ended(session) for session in two] == ["", ""]


def test_f13_one_certificate_that_cannot_be_judged_saves_no_other(world, two, caplog, monkeypatch):
    """Garbage in a row, and a certificate without an end under rules with days of grace: no calendar goes beyond year 9999."""
    monkeypatch.setattr(sessions, "_complained", set())
    provider = Provider.objects.get(code=world.family.provider)
    provider.rules = {**provider.rules, "grace_days": 3}
    provider.save()
    key = spare_key(world.leaf.algorithm, 0)
    endless = world.family.issuing.issue_lock("endless", key, not_before=moment() - HOUR, not_after=END_OF_TIME)
    eternal = session_with(world, Certificate.parse(endless), "0000")
    others = many(world, 3)
    rows = LockCertificate.objects.filter(lock=others[1].lock)
    rows.update(sealed_der=b"\x01garbage", cert_sha256="0" * 64)
    world.publish(reason="keyCompromise")
    refresh(world)
    swept = sweep_sessions()
    assert ended(two[0]) == "certificate revoked"
    assert (swept.ended, swept.looked_at, swept.failed) == (2, 6, 1)
    assert "could not be judged" in str(swept)
    assert "lock_not_judged" in caplog.text
    assert [ended(session) for session in (two[1], eternal, others[0], others[2])] == [""] * 4
    assert ended(others[1]) == "stored certificate does not open"  # it would never be found revoked
    assert sweep_sessions().failed == 0


def test_f13_one_provider_that_cannot_be_judged_saves_no_other(world, two, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ValueError("broken")

    monkeypatch.setattr(sessions, "unrecognised", broken)
    world.publish(reason="keyCompromise")
    refresh(world)
    swept = sweep_sessions()
    assert (swept.ended, swept.failed) == (1, 1)


def test_a_database_that_does_not_answer_is_the_jobs_failure_not_each_locks(world, two, monkeypatch):
    def broken(*_args, **_kwargs):
        raise OperationalError("gone")

    world.publish(reason="keyCompromise")
    refresh(world)
    monkeypatch.setattr(sessions, "end_sessions_of_lock", broken)
    with pytest.raises(OperationalError):
        sweep_sessions()


def test_a_sweep_over_locks_that_were_looked_at_before_costs_look_ups_only(world, monkeypatch, django_assert_max_num_queries):
    many(world, 30)
    found = []
    real = paths.choose_path
    monkeypatch.setattr(paths, "choose_path", lambda *args, **named: found.append(args) or real(*args, **named))
    assert sweep_sessions().looked_at == 30
    assert len(found) == 30
    forget_register()  # read again, as every minute, and the same
    current_register()
    with django_assert_max_num_queries(5):  # providers; of one who has its CAs, these, and its sessions; all locks' names
        assert sweep_sessions().looked_at == 30
    assert len(found) == 30
    Session.objects.filter(account__username__in=["lock 1", "lock 2"]).update(ended_at=moment())
    sweep_sessions()
    assert len(sessions._grounds._kept) == 28


def test_what_is_kept_of_paths_is_bounded(world, monkeypatch):
    monkeypatch.setattr(sessions, "_grounds", Grounds(capacity=2))
    made = many(world, 5)
    for _ in range(2):
        assert sweep_sessions().looked_at == 5
    assert len(sessions._grounds._kept) == 2
    serial = int(LockCertificate.objects.get(lock=made[4].lock).serial, 16)
    world.publish(world.crl(reason="keyCompromise", revoked=serial))
    refresh(world)
    assert sweep_sessions().ended == 1
    assert ended(made[4]) == "certificate revoked"


@pytest.fixture
def ocsp_only(transactional_db, source):
    """Locks with sessions whose CA answers by OCSP alone; what is asked takes ten of the twenty seconds of a turn."""
    world = CrlWorld.installed(source, "EC", ocsp=True)
    sessions_of = many(world, 7)
    world.issuing.delete()
    forget_register()
    return sessions_of


class Asking:
    """In place of the network: notes who was asked about, and lets the clock run."""

    def __init__(self, seconds: float) -> None:
        self.now, self.seconds = 1000.0, seconds
        self.serials: list[int] = []

    def __call__(self, leaf, issuer, **named) -> bool:
        self.serials.append(leaf.serial)
        self.now += self.seconds
        return True


def go_round(renewal: OcspRenewal) -> None:
    """Let every CA have its turn."""
    renewal.tick()
    renewal.wait()


def test_f8_every_lock_is_asked_about_in_its_turn_however_few_fit_into_one(ocsp_only):
    asking = Asking(10.0)
    renewal = OcspRenewal(clock=lambda: asking.now, ask=asking)
    for turns in (1, 2, 3, 4):
        go_round(renewal)
        assert len(asking.serials) == 2 * turns
    assert len(set(asking.serials[:7])) == 7
    assert asking.serials[7] == asking.serials[0]  # and begins anew


def test_f8_as_many_are_asked_about_as_fit(ocsp_only):
    asking = Asking(0.001)
    go_round(OcspRenewal(clock=lambda: asking.now, ask=asking))
    assert len(asking.serials) == 7


def test_f8_locks_that_come_and_go_take_nobodys_turn(ocsp_only):
    asking = Asking(10.0)
    renewal = OcspRenewal(clock=lambda: asking.now, ask=asking)
    go_round(renewal)
    gone = LockCertificate.objects.get(serial=f"{asking.serials[1]:x}")
    Session.objects.filter(lock=gone.lock).update(ended_at=moment())
    for _ in range(3):
        go_round(renewal)
    assert len(set(asking.serials)) == 7


def test_one_that_cannot_be_asked_about_costs_no_other_its_turn(ocsp_only):
    LockCertificate.objects.filter(lock=ocsp_only[3].lock).update(sealed_der=b"garbage")
    asking = Asking(10.0)
    woken = []
    renewal = OcspRenewal(changed=lambda: woken.append(1), clock=lambda: asking.now, ask=asking)
    for _ in range(4):
        go_round(renewal)
    assert len(set(asking.serials)) == 6
    assert len(woken) == 4


def test_a45_a_ca_that_answers_by_ocsp_alone_is_asked_anew_for_live_sessions(transactional_db, source):
    world = CrlWorld.installed(source, "EC", ocsp=True)
    record = world.issuing.ca_record
    world.issuing.delete()
    assert refresh_crl(world.root).ok
    status = ["good"]

    def answer(handler):
        reason = {"reason": "keyCompromise"} if status[0] == "revoked" else {}
        handler.send(
            ocsp_answer(
                world.family.issuing,
                world.leaf.serial,
                status[0],
                this_update=moment(),
                next_update=moment() + HOUR,
                nonce=nonce_of(handler.body),
                **reason,
            )
        )

    source.answers["/ocsp"] = answer
    session = session_with(world, world.leaf, "one", record)
    renewal = OcspRenewal()
    go_round(renewal)
    assert not sweep_sessions()
    status[0] = "revoked"
    go_round(renewal)
    assert sweep_sessions().ended == 1
    assert ended(session) == "certificate revoked"
    go_round(renewal)
    assert source.asked.count("POST /ocsp") == 2


class TwoWays:
    """A CA that publishes a CRL and answers by OCSP, as the test says."""

    def __init__(self, source) -> None:
        self.world = CrlWorld.installed(source, "EC", ocsp=True)
        self.status = "good"
        source.answers["/ocsp"] = self._answer
        assert refresh_crl(self.world.root).ok

    def _answer(self, handler) -> None:
        reason = {"reason": "keyCompromise"} if self.status == "revoked" else {}
        times = {"this_update": moment(), "next_update": moment() + HOUR, "nonce": nonce_of(handler.body)}
        handler.send(ocsp_answer(self.world.family.issuing, self.world.leaf.serial, self.status, **times, **reason))

    def revoked_while_logged_in(self) -> int:
        session_with(self.world, self.world.leaf, "one")
        renewal = OcspRenewal()
        go_round(renewal)
        assert not sweep_sessions().ended
        self.status = "revoked"
        go_round(renewal)
        return sweep_sessions().ended


def test_a45_a_crl_that_cannot_be_had_is_no_reason_not_to_ask(transactional_db, source):
    ways = TwoWays(source)
    del source.answers["/issuing.crl"]
    refresh_crl(ways.world.issuing)
    assert ways.revoked_while_logged_in() == 1


def test_a45_nor_is_one_that_speaks_for_others_only(transactional_db, source):
    ways = TwoWays(source)
    only_cas = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    ways.world.publish(ways.world.crl(extra=[pki.extension(only_cas, critical=True)]))
    assert refresh_crl(ways.world.issuing).ok
    assert ways.revoked_while_logged_in() == 1


def test_where_the_crl_at_hand_speaks_for_the_lock_nobody_is_asked(transactional_db, source):
    ways = TwoWays(source)
    assert refresh_crl(ways.world.issuing).ok
    session_with(ways.world, ways.world.leaf, "one")
    go_round(OcspRenewal())
    assert "POST /ocsp" not in source.asked


@pytest.mark.django_db(transaction=True)
def test_one_cas_slow_responder_uses_up_no_other_cas_time(source):
    for world, name in (
        (CrlWorld.installed(source, "EC", ocsp=True), "one"),
        (CrlWorld.installed(source, "SM2", ocsp=True), "two"),
    ):
        record = CaRecord.objects.get(provider__code=world.family.provider, spki_sha256=world.path[1].spki_sha256)
        session_with(world, world.leaf, name, record)
    both, answered = threading.Barrier(2), []

    def ask(leaf, issuer, **named) -> bool:
        both.wait(20)  # each answers when the other is being asked too: one after the other, none ever would
        answered.append(leaf.serial)
        return True

    go_round(OcspRenewal(ask=ask))
    assert len(set(answered)) == 2


def test_a_turn_that_is_under_way_is_not_begun_again(ocsp_only):
    over, asked = threading.Event(), []

    def ask(leaf, issuer, **named) -> bool:
        asked.append(leaf.serial)
        return over.wait(20)

    renewal = OcspRenewal(ask=ask)
    assert [renewal.tick(), renewal.tick()] == [1, 0]
    over.set()
    renewal.wait()
    assert len(asked) == len(set(asked)) == 7
    assert renewal.tick() == 1
    renewal.wait()
