"""A provider may let expired certificates be bound. What is known against them counts all the same; only missing data is waived."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, logged_in, reason_of, refusal_row
from worlds.practice import NOW, family, make_lock
from worlds.responses import ocsp_answer
from worlds.rows import USCC, install

from calock.core.certificates.certificate import Certificate
from calock.core.revocation.evidence import InMemoryEvidence
from calock.server.audit.models import AuditEvent
from calock.server.locks import answers
from calock.server.locks.models import Lock, RevokedCertificate

pytestmark = pytest.mark.django_db

DATES = {"not_before": NOW - timedelta(days=400), "not_after": NOW - timedelta(days=3)}
HOUR = timedelta(hours=1)


@pytest.fixture
def lock(lock_world):
    install(family("EC"), allow_expired_binding=True)
    return make_lock("EC", uscc=USCC, **DATES)


def bind(world, lock, **token):
    browser = logged_in(world.member)
    aim = {"member": str(world.member.pk), "provider": lock.family.provider}
    text = browser.challenge("bind", **aim)
    return browser.post("/api/bindings", {"challenge": text, "token": {**lock.sign(text), **token}, **aim})


def with_crls(monkeypatch, *, age=timedelta(minutes=5), life=9 * HOUR, leaf=(), authority=()):
    """Revocation data of these entries: the issuing CA's list and the root's."""
    here, at = family("EC"), timezone.now().replace(microsecond=0)
    since = {"this_update": at - age, "next_update": at - age + life}
    crls = [here.root.crl(list(authority), **since), here.issuing.crl(list(leaf), **since)]
    anchors, others = [Certificate.parse(here.root.certificate)], [Certificate.parse(here.issuing.certificate)]
    evidence = InMemoryEvidence(crls, anchors=anchors, others=others, at=at)
    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(evidence))


def entry(certificate, reason="keyCompromise"):
    return [(Certificate.parse(certificate).serial, NOW - timedelta(days=1), reason)]


def test_it_is_bound_and_the_row_says_how_it_was_judged(lock_world, lock):
    assert bind(lock_world, lock).status_code == 200
    row = AuditEvent.objects.get(event="binding:lock:added")
    assert row.details["revocation_leaf"][4] == "good"
    assert reason_of(Browser().log_in(lock)) == "CERTIFICATE_EXPIRED"


@pytest.mark.parametrize(("why", "reason"), [("keyCompromise", "CERTIFICATE_REVOKED"), ("certificateHold", "CERTIFICATE_ON_HOLD")])
def test_revoked_or_on_hold_now_is_not_bound(lock_world, lock, why, reason):
    lock_world.revoke(lock, why)
    refusal_row(bind(lock_world, lock), reason)
    assert not Lock.objects.exists()
    assert RevokedCertificate.objects.exists() == (reason == "CERTIFICATE_REVOKED")


def test_revoked_by_a_list_that_has_run_out_is_not_bound(lock_world, lock, monkeypatch):
    with_crls(monkeypatch, age=timedelta(days=20), leaf=entry(lock.certificate))
    refusal_row(bind(lock_world, lock), "CERTIFICATE_REVOKED")


def test_of_a_revoked_ca_it_is_not_bound(lock_world, lock, monkeypatch):
    with_crls(monkeypatch, authority=entry(lock.family.issuing.certificate, "cACompromise"))
    refusal_row(bind(lock_world, lock), "CA_REVOKED")
    assert not RevokedCertificate.objects.exists()


@pytest.mark.parametrize(("status", "reason"), [("unknown", "REVOCATION_UNKNOWN"), ("revoked", "CERTIFICATE_REVOKED")])
def test_what_a_stapled_answer_says_against_it_counts(lock_world, lock, status, reason):
    at = timezone.now().replace(microsecond=0)
    serial = Certificate.parse(lock.certificate).serial
    why = {"reason": "keyCompromise"} if status == "revoked" else {}
    said = ocsp_answer(lock.family.issuing, serial, status, this_update=at, next_update=at + HOUR, **why)
    refusal_row(bind(lock_world, lock, stapledOcsp=[base64.b64encode(said).decode()]), reason)


def test_missing_data_is_waived_and_said(lock_world, lock):
    lock_world.without_evidence = True
    assert bind(lock_world, lock).status_code == 200
    row = AuditEvent.objects.get(event="binding:lock:added")
    finding, detail = row.details["revocation_leaf"][4:6]
    assert finding == "waived"
    assert detail.startswith("not asked of an expired certificate: no revocation data")


def test_old_data_is_waived(lock_world, lock, monkeypatch):
    with_crls(monkeypatch, age=timedelta(days=20))
    assert bind(lock_world, lock).status_code == 200


def test_a_certificate_that_is_not_expired_needs_all_data(lock_world, lock):
    lock_world.without_evidence = True
    refusal_row(bind(lock_world, make_lock("EC", uscc=USCC)), "REVOCATION_UNAVAILABLE")
