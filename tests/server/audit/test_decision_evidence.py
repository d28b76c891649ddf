"""What an auditor can say years later of one decision: which certificate, which keys, which revocation data, what they said."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from console_help import browser_of
from django.utils import timezone
from lock_world import NOW, PASSWORD, USCC, Browser, bound, family, logged_in, make_lock, refusal_row

from calock.core.certificates.certificate import Certificate
from calock.core.revocation.evidence import MemoryEvidence
from calock.core.verdict import RevocationStatus
from calock.server.audit.models import AuditEvent
from calock.server.audit.verification import verify_audit
from calock.server.locks import answers, decision_record
from calock.server.locks.models import Binding

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
AT = NOW - timedelta(minutes=5)


def iso(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def crls(lock_world, monkeypatch):
    """Two lists whose bytes the test knows, root's and issuing CA's; ``crls.publish(…)`` puts an entry on the second."""

    class Lists:
        def publish(self, *entries):
            here = family("EC")
            self.root = here.root.crl([], this_update=AT, next_update=AT + 9 * HOUR)
            self.issuing = here.issuing.crl(list(entries), this_update=AT, next_update=AT + 6 * HOUR)
            anchors, others = [Certificate.parse(here.root.certificate)], [Certificate.parse(here.issuing.certificate)]
            evidence = MemoryEvidence([self.root, self.issuing], anchors=anchors, others=others, at=timezone.now())
            monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(evidence))

    lists = Lists()
    lists.publish()
    return lists


@pytest.fixture
def lock():
    return make_lock("EC", uscc=USCC)


def rests_on(row, lists, lock, *, finding="good"):
    """The row names certificate, keys and both lists, by source, times and SHA-256."""
    issuing, root = hashlib.sha256(lists.issuing).hexdigest(), hashlib.sha256(lists.root).hexdigest()
    details = row.details
    assert details["certificate"] == hashlib.sha256(lock.certificate).hexdigest()
    assert details["issuer_key"] == family("EC").issuing.key.spki_sha256
    assert details["anchor_key"] == family("EC").root.key.spki_sha256
    assert details["revocation_leaf"] == f"crl {iso(AT)} {iso(AT + 6 * HOUR)} {issuing} {finding}"
    assert details["revocation_ca_1"] == f"crl {iso(AT)} {iso(AT + 9 * HOUR)} {root} good"


def test_every_accepted_decision(lock_world, crls, lock):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    binding = bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    browser = logged_in(lock_world.member)
    assert browser.step_up(lock).status_code == 200
    text = browser.challenge("unbind", binding=str(binding.pk))
    end = {"reason": "离职", "challenge": text, "token": lock.sign(text)}
    assert browser.post(f"/api/bindings/{binding.pk}/end", end).status_code == 200
    for event in ("binding:lock:added", "login:ca:succeeded", "login:step_up:succeeded", "binding:lock:ended"):
        rests_on(AuditEvent.objects.get(event=event), crls, lock)
    assert verify_audit(public_key="").findings == ()


def test_a_decision_refused_for_another_reason_keeps_it_too(lock_world, crls, lock):
    rests_on(refusal_row(Browser().log_in(lock), "LOCK_NOT_BOUND"), crls, lock)
    bound(lock, lock_world.member)
    rests_on(refusal_row(logged_in(lock_world.colleague).bind(lock, lock_world.colleague), "LOCK_BOUND_TO_OTHER"), crls, lock)
    rests_on(refusal_row(logged_in(lock_world.colleague).step_up(lock), "STEP_UP_FAILED"), crls, lock)


def test_a_refusal_for_revocation_says_what_was_found(lock_world, crls, lock):
    bound(lock, lock_world.member)
    since = NOW - timedelta(days=2)
    crls.publish((Certificate.parse(lock.certificate).serial, since, "keyCompromise"))
    finding = f"CERTIFICATE_REVOKED: keyCompromise (since {iso(since)})"
    for answer in (
        Browser().log_in(lock),
        logged_in(lock_world.member).bind(lock, lock_world.member),
        logged_in(lock_world.member).step_up(lock),
    ):
        rests_on(refusal_row(answer, "CERTIFICATE_REVOKED"), crls, lock, finding=finding)


def test_missing_data_is_named_as_such(lock_world, lock):
    lock_world.without_evidence = True
    row = refusal_row(Browser().log_in(lock), "REVOCATION_UNAVAILABLE")
    assert row.details["revocation_leaf"] == "- - - - REVOCATION_UNAVAILABLE: no revocation data at hand speak for this certificate"


def test_an_answer_that_proves_nothing_names_only_what_was_shown(lock_world, crls, lock):
    browser = Browser()
    text = browser.challenge()
    token = {**lock.sign(text), "signature": base64.b64encode(bytes(64)).decode()}
    row = refusal_row(browser.post("/api/login", {"challenge": text, "token": token}), "SIGNATURE_INVALID")
    assert set(row.details) == {"detail", "certificate"}


def test_a_long_path_keeps_every_certificates_evidence_whole(lock_world):
    """Each stands in a text of its own, so that none is cut off."""
    long = "r" * 120
    for number, status in enumerate(
        [RevocationStatus("c" * 64, "stapled", NOW, NOW + HOUR, "e" * 64, NOW, long), RevocationStatus("d" * 64, "")]
    ):
        text = decision_record._text(status, f"CERTIFICATE_ON_HOLD: {status.detail}")
        assert len(text) <= 300, number


def test_the_audit_page_shows_it_readably(lock_world, crls, lock):
    bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    row = AuditEvent.objects.get(event="login:ca:succeeded")
    operator = browser_of(lock_world.operator)
    html = operator.get(f"/console/audit/auditevent/{row.pk}/change/").content.decode()
    assert "吊销核验依据" in html
    for text in ("CA 锁证书", "签发 CA", "未吊销", hashlib.sha256(crls.issuing).hexdigest(), family("EC").root.key.spki_sha256):
        assert text in html
    assert timezone.localtime(AT).strftime("%Y-%m-%d %H:%M:%S") in html
    assert "revocation_leaf" not in html


def test_the_audit_page_says_in_words_what_stood_against_it(lock_world, crls, lock):
    bound(lock, lock_world.member)
    crls.publish((Certificate.parse(lock.certificate).serial, AT, "keyCompromise"))
    refusal = refusal_row(Browser().log_in(lock), "CERTIFICATE_REVOKED")
    html = browser_of(lock_world.operator).get(f"/console/audit/auditevent/{refusal.pk}/change/").content.decode()
    assert '<span class="badge bad">证书已被吊销' in html
    assert '<span class="quiet small">CERTIFICATE_REVOKED keyCompromise' in html


@pytest.mark.parametrize("text", ["", "x", "a b c d", "crl yesterday today x y", "crl 2026-11-25 2026-11-26 x y", "crl - - -"])
def test_a_detail_that_only_looks_like_evidence_breaks_no_page(text):
    found, others = decision_record.read_back({"revocation_leaf": text, "chosen": "lianxi"})
    assert found == []
    assert others == {"revocation_leaf": text, "chosen": "lianxi"}


def test_a_login_formats_what_one_list_says_once(lock_world, crls):
    """Thousands of locks stand on one list."""
    decision_record._source.cache_clear()
    for number in range(3):
        lock = make_lock("EC", number=number, lock_id=f"SX-000{number}")
        bound(lock, lock_world.member)
        assert Browser().log_in(lock).status_code == 200
    assert Binding.objects.count() == 3
    assert decision_record._source.cache_info().misses == 2
