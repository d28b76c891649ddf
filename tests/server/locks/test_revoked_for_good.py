"""Revoked from any source is final: what was learnt once is a row, and no later good answer brings the certificate back."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, logged_in, reason_of, refusal_row
from worlds.practice import NOW, family, make_lock
from worlds.responses import ocsp_answer
from worlds.rows import USCC

from calock.core.certificates.certificate import Certificate
from calock.server.audit.models import AuditEvent
from calock.server.jobs import sessions
from calock.server.locks.models import Binding, Lock, LockCertificate, RevokedCertificate
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def lock():
    return make_lock("EC")


def lifted(world):
    """The CA's next list no longer has the entry, as if nothing had been."""
    world.revoked.clear()


def log_in(world, lock):
    return Browser().log_in(lock)


def bind(world, lock):
    return logged_in(world.member).bind(lock, world.member)


def step_up(world, lock):
    return logged_in(world.member).step_up(lock)


@pytest.mark.parametrize("learnt_by", [log_in, bind, step_up])
@pytest.mark.parametrize("later", [log_in, bind, step_up])
def test_what_one_way_in_learnt_every_way_refuses_later(lock_world, lock, learnt_by, later):
    bound(lock, lock_world.member)
    lock_world.revoke(lock)
    refusal_row(learnt_by(lock_world, lock), "CERTIFICATE_REVOKED")
    lifted(lock_world)
    refusal_row(later(lock_world, lock), "CERTIFICATE_REVOKED")


def test_the_row_says_what_it_rests_on(lock_world, lock):
    binding = bound(lock, lock_world.member)
    lock_world.revoke(lock)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    row = RevokedCertificate.objects.get()
    certificate = Certificate.parse(lock.certificate)
    assert (row.issuer_key, row.serial) == (lock.family.issuing.key.spki_sha256, certificate.serial_hex)
    assert (row.source, len(row.evidence_sha256), row.revoked_at) == ("crl", 64, NOW - timedelta(days=1))
    assert LockCertificate.objects.get(lock=binding.lock_id).revoked_at is not None
    event = AuditEvent.objects.get(event="binding:certificate:revoked")
    assert (event.lock, event.details["evidence"]) == (binding.lock_id, row.evidence_sha256)


def test_a_certificate_that_was_never_bound_is_remembered_too(lock_world, lock):
    lock_world.revoke(lock)
    refusal_row(bind(lock_world, lock), "CERTIFICATE_REVOKED")
    lifted(lock_world)
    refusal_row(bind(lock_world, lock), "CERTIFICATE_REVOKED")
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    assert not Lock.objects.exists()


def test_a_hold_is_not_remembered(lock_world, lock):
    bound(lock, lock_world.member)
    lock_world.revoke(lock, "certificateHold")
    refusal_row(Browser().log_in(lock), "CERTIFICATE_ON_HOLD")
    assert not RevokedCertificate.objects.exists()
    lifted(lock_world)
    assert Browser().log_in(lock).status_code == 200


def test_another_certificate_of_the_same_serial_number_under_another_ca_is_not_meant(lock_world):
    one, other = make_lock("EC", serial=77), make_lock("SM2", serial=77, lock_id="SX-0002")
    bound(one, lock_world.member)
    bound(other, lock_world.member)
    lock_world.revoke(one)
    refusal_row(Browser().log_in(one), "CERTIFICATE_REVOKED")
    lifted(lock_world)
    assert Browser().log_in(other).status_code == 200


def test_an_answer_the_driver_brought_along_is_remembered_and_ends_the_sessions(lock_world, lock):
    """The next login need not bring it: a stapled "revoked" counts from then on, and who is in by this lock is out."""
    bound(lock, lock_world.member)
    inside = Browser()
    assert inside.log_in(lock).status_code == 200
    serial, at = Certificate.parse(lock.certificate).serial, timezone.now().replace(microsecond=0)
    said = ocsp_answer(
        family("EC").issuing,
        serial, "revoked", this_update=at, next_update=at + timedelta(hours=1), reason="keyCompromise"
    )  # fmt: skip
    browser = Browser()
    text = browser.challenge()
    token = {**lock.sign(text), "stapledOcsp": [base64.b64encode(said).decode()]}
    refusal_row(browser.post("/api/login", {"challenge": text, "token": token}), "CERTIFICATE_REVOKED")
    assert RevokedCertificate.objects.get().source == "stapled"
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    assert reason_of(inside.client.get("/api/bindings")) == "SESSION_ENDED"
    assert Session.objects.get(method="ca").end_reason == "certificate revoked"
    assert AuditEvent.objects.get(event="session:revoked").details["count"] == 1


def test_what_the_sweep_of_live_sessions_learnt_counts_at_the_next_login(lock_world, lock, monkeypatch):
    bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    lock_world.revoke(lock)
    monkeypatch.setattr(sessions, "current_evidence", lambda **_: lock_world.evidence())
    assert sessions.sweep_sessions().ended == 1
    row = RevokedCertificate.objects.get()
    assert (row.source, row.serial) == ("crl", Certificate.parse(lock.certificate).serial_hex)
    assert AuditEvent.objects.filter(event="session:revoked").count() == 1
    lifted(lock_world)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")


def test_a_damaged_row_keeps_the_sweep_from_nobody_else(lock_world, lock, monkeypatch):
    other = make_lock("EC", number=1, lock_id="SX-0002")
    for item in (lock, other):
        bound(item, lock_world.member)
        assert Browser().log_in(item).status_code == 200
    LockCertificate.objects.filter(lock__lock_id="SX-0001").update(sealed_der=b"garbage")
    lock_world.revoke(other)
    monkeypatch.setattr(sessions, "current_evidence", lambda **_: lock_world.evidence())
    swept = sessions.sweep_sessions()
    assert (swept.ended, swept.failed) == (2, 1)  # what does not open ends its session too


def test_learning_it_again_writes_nothing_more(lock_world, lock):
    bound(lock, lock_world.member)
    lock_world.revoke(lock)
    for _ in range(3):
        refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    assert RevokedCertificate.objects.count() == 1
    assert AuditEvent.objects.filter(event="binding:certificate:revoked").count() == 1


def test_a_lock_marked_revoked_does_not_log_in(lock_world, lock):
    bound(lock, lock_world.member)
    LockCertificate.objects.update(revoked_at=timezone.now())
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")


def test_what_was_learnt_while_the_lock_was_being_bound_counts(lock_world, lock):
    """The version's own mark may have missed it; the row of the certificate has not."""
    bound(lock, lock_world.member)
    lock_world.revoke(lock)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    lifted(lock_world)
    LockCertificate.objects.update(revoked_at=None)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")


def test_an_unbound_revoked_lock_is_not_bound_again(lock_world, lock):
    bound(lock, lock_world.member)
    lock_world.revoke(lock)
    refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    Binding.objects.update(unbound_at=timezone.now(), unbound_by=lock_world.member, reason="遗失")
    lifted(lock_world)
    refusal_row(logged_in(lock_world.colleague).bind(lock, lock_world.colleague), "CERTIFICATE_REVOKED")
    assert not Binding.objects.live().exists()


def test_a_stranger_without_the_lock_teaches_nothing(lock_world, lock):
    bound(lock, lock_world.member)
    lock_world.revoke(lock)
    browser = Browser()
    text = browser.challenge()
    token = {**lock.sign(text), "signature": base64.b64encode(bytes(64)).decode()}
    refusal_row(browser.post("/api/login", {"challenge": text, "token": token}), "SIGNATURE_INVALID")
    assert not RevokedCertificate.objects.exists()
    assert USCC not in str(list(AuditEvent.objects.values()))


def test_the_older_certificate_of_a_key_is_no_way_around_the_newer_ones_revocation(lock_world):
    """Both are the same key: what the CA says of the current one goes for the lock."""
    first, second = make_lock("EC", uscc=USCC), make_lock("EC", uscc=USCC, not_after=NOW + timedelta(days=700))
    bound(first, lock_world.member)
    assert Browser().log_in(second).status_code == 200
    assert Browser().log_in(first).status_code == 200
    lock_world.revoke(second)
    refusal_row(Browser().log_in(second), "CERTIFICATE_REVOKED")
    refusal_row(Browser().log_in(first), "CERTIFICATE_REVOKED")
    assert RevokedCertificate.objects.count() == 1


def test_a_predecessor_that_its_ca_revokes_after_the_renewal_harms_nobody(lock_world):
    first, second = make_lock("EC", uscc=USCC), make_lock("EC", uscc=USCC, not_after=NOW + timedelta(days=700))
    bound(first, lock_world.member)
    inside = Browser()
    assert inside.log_in(second).status_code == 200
    lock_world.revoke(first, "superseded")
    refusal_row(Browser().log_in(first), "CERTIFICATE_REVOKED")
    assert Browser().log_in(second).status_code == 200
    assert inside.client.get("/api/bindings").status_code == 200


def test_the_sweep_ends_what_began_while_the_revocation_was_being_noted(lock_world, lock, monkeypatch):
    """The mark of the version counts for the sweep too, whatever today's data say."""
    bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    LockCertificate.objects.update(revoked_at=timezone.now())
    monkeypatch.setattr(sessions, "current_evidence", lambda **_: lock_world.evidence())
    assert sessions.sweep_sessions().ended == 1
    assert Session.objects.get(method="ca").end_reason == "certificate revoked"
