"""What an auditor can say years later of one decision: which certificate, which keys, which revocation data, what they said."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, console_client, logged_in, refusal_row
from worlds.practice import NOW, family, id_card, make_lock
from worlds.rows import PASSWORD, USCC

from calock.core.certificates.certificate import Certificate
from calock.core.revocation.evidence import InMemoryEvidence
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.audit.verification import verify_audit
from calock.server.locks import answers, decision_record

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
            evidence = InMemoryEvidence([self.root, self.issuing], anchors=anchors, others=others, at=timezone.now())
            monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(evidence))

    lists = Lists()
    lists.publish()
    return lists


@pytest.fixture
def lock():
    return make_lock("EC", uscc=USCC)


GOOD = ("good", "", None)


def rests_on(row, lists, lock, *, finding=GOOD):
    """The row names certificate, keys and both lists, by source, times and SHA-256."""
    issuing, root = hashlib.sha256(lists.issuing).hexdigest(), hashlib.sha256(lists.root).hexdigest()
    details = row.details
    assert details["certificate"] == hashlib.sha256(lock.certificate).hexdigest()
    assert details["issuer_key"] == family("EC").issuing.key.spki_sha256
    assert details["anchor_key"] == family("EC").root.key.spki_sha256
    assert details["revocation_leaf"] == ["crl", iso(AT), iso(AT + 6 * HOUR), issuing, *finding]
    assert details["revocation_ca_1"] == ["crl", iso(AT), iso(AT + 9 * HOUR), root, *GOOD]


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
    assert verify_audit().findings == []


def test_a_decision_refused_for_another_reason_keeps_it_too(lock_world, crls, lock):
    rests_on(refusal_row(Browser().log_in(lock), "LOCK_NOT_BOUND"), crls, lock)
    bound(lock, lock_world.member)
    rests_on(refusal_row(logged_in(lock_world.colleague).bind(lock, lock_world.colleague), "LOCK_BOUND_TO_OTHER"), crls, lock)
    rests_on(refusal_row(logged_in(lock_world.colleague).step_up(lock), "STEP_UP_FAILED"), crls, lock)


def test_a_refusal_for_revocation_says_what_was_found(lock_world, crls, lock):
    bound(lock, lock_world.member)
    since = NOW - timedelta(days=2)
    crls.publish((Certificate.parse(lock.certificate).serial, since, "keyCompromise"))
    finding = ("CERTIFICATE_REVOKED", "keyCompromise", iso(since))
    for answer in (
        Browser().log_in(lock),
        logged_in(lock_world.member).bind(lock, lock_world.member),
        logged_in(lock_world.member).step_up(lock),
    ):
        rests_on(refusal_row(answer, "CERTIFICATE_REVOKED"), crls, lock, finding=finding)


def test_missing_data_is_named_as_such(lock_world, lock):
    lock_world.without_evidence = True
    row = refusal_row(Browser().log_in(lock), "REVOCATION_UNAVAILABLE")
    said = "no revocation data at hand are about this certificate"
    assert row.details["revocation_leaf"] == ["", None, None, "", "REVOCATION_UNAVAILABLE", said, None]


def test_an_answer_that_proves_nothing_names_only_what_was_shown(lock_world, crls, lock):
    browser = Browser()
    text = browser.challenge()
    token = {**lock.sign(text), "signature": base64.b64encode(bytes(64)).decode()}
    row = refusal_row(browser.post("/api/login", {"challenge": text, "token": token}), "SIGNATURE_INVALID")
    assert set(row.details) == {"detail", "certificate"}


def test_the_audit_page_shows_it_readably(lock_world, crls, lock):
    bound(lock, lock_world.member)
    assert Browser().log_in(lock).status_code == 200
    row = AuditEvent.objects.get(event="login:ca:succeeded")
    operator = console_client(lock_world.operator)
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
    html = console_client(lock_world.operator).get(f"/console/audit/auditevent/{refusal.pk}/change/").content.decode()
    assert '<span class="badge bad">证书已被吊销' in html
    assert '<span class="quiet small">CERTIFICATE_REVOKED keyCompromise</span>' in html
    assert f"吊销时间 {timezone.localtime(AT):%Y-%m-%d %H:%M:%S}" in html


@pytest.mark.parametrize(
    "value",
    ["", "seven x", 7, None, {}, [], ["crl", "yesterday", None, "x", "good", "", None], ["crl", None, None, "x", "good", ""]],
)
def test_a_detail_that_only_looks_like_evidence_breaks_no_page(value):
    found, others = decision_record.read_back({"revocation_leaf": value, "chosen": "lianxi"})
    assert found == []
    assert others == {"revocation_leaf": value, "chosen": "lianxi"}


def test_a_row_of_an_earlier_version_says_on_its_page_what_it_said(lock_world):
    text = f"crl 2026-11-25T10:00:00Z 2026-11-26T10:00:00Z {'a' * 64} good"
    row = record(Event.LOGIN_CA_SUCCEEDED, details={"revocation_leaf": text})
    html = console_client(lock_world.operator).get(f"/console/audit/auditevent/{row.pk}/change/").content.decode()
    assert text in html
    assert "与写入时一致" in html


def test_each_text_of_a_list_is_one_printable_line_without_personal_ids_and_sealed(db):
    person = id_card("11010119900307123")
    given = ["a\nb", person, "x" * 400, None, 7, True, *range(50)]
    row = AuditEvent.objects.get(pk=record(Event.LOGIN_CA_REFUSED, details={"found": given}).pk)
    kept = row.details["found"]
    assert kept[0] == "a·b"
    assert person not in kept[1]
    assert len(kept[2]) == 300
    assert kept[3:6] == [None, 7, True]
    assert len(kept) == 20
    assert is_intact(row)
    row.details["found"][4] = 8
    assert not is_intact(row)
