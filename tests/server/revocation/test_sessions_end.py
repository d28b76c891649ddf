"""A45, R8: sessions of a lock that stops being good end at the next sweep; everybody else stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from lock_world import YEARS
from revocation_source import HOUR, CrlWorld, moment, nonce_of

from calock.core.certificate import Certificate
from calock.demo.pki import make_key
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.jobs.all import all_jobs
from calock.server.jobs.crls import EVERY
from calock.server.jobs.sessions import renew_ocsp, sweep_sessions
from calock.server.locks.models import Lock, LockCertificate
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.revocation import forget_evidence
from calock.server.providers.revocation_refresh import refresh_crl
from calock.server.providers.trust import forget_register
from calock.server.sessions.models import Session, SessionMethod

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["EC", "SM2"])
def world(db, source, request):
    made = CrlWorld(source, request.param)
    refresh(made)
    return made


def refresh(world):
    assert refresh_crl(world.root).ok
    assert refresh_crl(world.issuing).ok
    forget_evidence()


def log_in(world, certificate: Certificate, name: str, record: CaRecord | None = None) -> Session:
    """A session as a login with this lock leaves it."""
    record = record or world.issuing.ca_record
    lock = Lock.objects.create(provider=record.provider, lock_id=name)
    LockCertificate.objects.create(
        lock=lock, ca_record=record, serial=certificate.serial_hex, cert_sha256=certificate.sha256,
        spki_sha256=certificate.spki_sha256, subject_cn="x", algorithm=certificate.algorithm, der=certificate.der,
        not_before=certificate.not_before, not_after=certificate.not_after,
    )  # fmt: skip
    account = Account.objects.create(username=name, name=name)
    now = moment()
    return Session.objects.create(
        digest=certificate.sha256, account=account, site="shanxi", method=SessionMethod.CA, lock=lock, created_at=now,
        last_seen_at=now, expires_at=now + 12 * HOUR, authenticated_at=now,
    )  # fmt: skip


@pytest.fixture
def two(world):
    """The session of the world's lock, and of a neighbour's of the same CA."""
    other = world.family.issuing.issue_lock(
        "neighbour", make_key(world.leaf.algorithm), not_before=moment() - HOUR, not_after=moment() + YEARS
    )
    return log_in(world, world.leaf, "one"), log_in(world, Certificate.parse(other), "two")


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


def test_r8_the_clocks_add_up_to_the_promised_minute():
    sweeps = next(job.every for job in all_jobs() if job.name == "sessions")
    assert sweeps <= 20
    assert EVERY <= 60


def test_a45_a_ca_that_answers_by_ocsp_alone_is_asked_anew_for_live_sessions(db, source):
    world = CrlWorld(source, "EC", ocsp=True)
    record = world.issuing.ca_record
    world.issuing.delete()
    assert refresh_crl(world.root).ok
    status = ["good"]

    def answer(handler):
        reason = {"reason": "keyCompromise"} if status[0] == "revoked" else {}
        handler.send(
            world.family.issuing.ocsp(
                world.leaf.serial,
                status[0],
                this_update=moment(),
                next_update=moment() + HOUR,
                nonce=nonce_of(handler.body),
                **reason,
            )
        )

    source.answers["/ocsp"] = answer
    session = log_in(world, world.leaf, "one", record)
    assert renew_ocsp() == 1
    assert not sweep_sessions()
    status[0] = "revoked"
    assert renew_ocsp() == 1
    assert sweep_sessions().ended == 1
    assert ended(session) == "certificate revoked"
    assert renew_ocsp() == 0
