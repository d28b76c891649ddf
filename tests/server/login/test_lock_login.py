"""Logging in with a lock: who gets in, and what exactly stops everybody else, recorded and with nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from worlds.browser import Browser, context, reason_of
from worlds.practice import NOW, family, id_card, make_lock, spare_key
from worlds.rows import USCC, install, rewrite

from calock.core.verdict import RevocationStatus
from calock.server.accounts.members import set_account_state
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.organisations import set_organisation_state
from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.jobs.sessions import sweep_sessions
from calock.server.locks.models import Binding, LockCertificate
from calock.server.locks.revocations import note_revoked
from calock.server.login import services, store
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.providers.models import Provider, ProviderState
from calock.server.receipts.services import receipt_of
from calock.server.sessions import cookies
from calock.server.sessions.models import Session
from calock.server.tools import throttle
from calock.server.tools.digests import digest

pytestmark = pytest.mark.django_db

GOOD = {"format": "web-eid:1.0", "unverifiedCertificate": "AAAA", "algorithm": "SM2", "signature": "AAAA"}
"""A token of the right form."""


def bound(world, lock, member=None):
    browser = Browser()
    browser.enter(world.admin)
    answer = browser.bind(lock, member or world.member)
    assert answer.status_code == 200, answer.content.decode()
    return Binding.objects.get(pk=answer.json()["binding"]["id"])


def refused(answer, reason, *, status=None):
    """The refusal a person sees, the row an auditor sees, and that nobody came in."""
    told = answer.json()["error"]
    assert told["reason"] == reason
    assert 400 <= answer.status_code < 500
    if status is not None:
        assert answer.status_code == status
    assert told["message"]
    assert "{" not in told["message"]
    assert told["action"]["label"]
    row = AuditEvent.objects.get(number=told["number"])
    assert row.reason == reason
    assert not Session.objects.filter(method="ca").exists()
    return row


def send(browser, challenge, token, **fields):
    return browser.post("/api/login", {"challenge": challenge, "token": token, **fields})


@pytest.mark.parametrize("algorithm", ["SM2", "EC", "RSA"])
def test_a_bound_lock_lets_its_account_in(lock_world, algorithm):
    lock = make_lock(algorithm)
    binding = bound(lock_world, lock)
    browser = Browser()
    answer = browser.log_in(lock, provider=lock.family.provider)
    assert answer.status_code == 200, answer.content.decode()
    assert answer.json() == {"next": "/apps/"}
    session = Session.objects.get(digest=digest(browser.client.cookies[cookies.session_cookie()].value))
    assert (session.account, session.method, session.lock_id) == (lock_world.member, "ca", binding.lock_id)
    row = AuditEvent.objects.get(event="login:ca:succeeded")
    assert (row.actor, row.lock, row.provider) == (lock_world.member.pk, binding.lock_id, lock.family.provider)
    assert browser.client.get("/api/bindings").json()["bindings"][0]["lockId"] == "SX-0001"


def test_a_login_is_one_look_up_and_one_statement_for_all_of_its_rows(lock_world):
    """SQLite has no statement that inserts into several tables: there it is a transaction of four."""
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    browser.log_in(lock)  # the register is read once per process, and the account knows the browser from now on
    del browser.client.cookies[cookies.session_cookie()]
    challenge = browser.challenge()
    body = {"challenge": challenge, "token": lock.sign(challenge), "provider": lock.family.provider}
    with CaptureQueriesContext(connection) as queries:
        assert browser.post("/api/login", body).status_code == 200
    together = ["WITH"] if connection.vendor == "postgresql" else ["INSERT"] * 4
    assert [statement.split()[0] for statement in statements(queries)] == ["SELECT", *together]


def statements(queries):
    """What the database was asked, without where transactions begin and end."""
    frame = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK")
    return [query["sql"] for query in queries if not query["sql"].startswith(frame)]


def test_refusing_a_certificate_that_nobody_has_seen_takes_eight_statements(lock_world):
    """Find and spend; whether a list speaks of it, it was revoked, whose its key is; what to tell; once more spend, and the row."""
    Browser().log_in(make_lock(number=1))  # the register is read once per process
    stranger, browser = make_lock(), Browser()
    challenge = browser.challenge()
    body = {"challenge": challenge, "token": stranger.sign(challenge), "provider": stranger.family.provider}
    with CaptureQueriesContext(connection) as queries:
        answer = browser.post("/api/login", body)
    refused(answer, "LOCK_NOT_BOUND")
    asked = statements(queries)
    assert [statement.split()[0] for statement in asked] == [*["SELECT", "INSERT"], *["SELECT"] * 4, *["INSERT"] * 2], asked
    refused(browser.post("/api/login", body), "CHALLENGE_SPENT")


def test_issuing_challenges_writes_nothing(lock_world):
    browser = Browser()
    browser.challenge()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            browser.challenge()
    assert len(queries) == 0


# --- certificate


@pytest.mark.parametrize(
    ("fields", "reason", "says"),
    [
        ({"not_before": NOW - timedelta(days=400), "not_after": NOW - timedelta(days=3)}, "CERTIFICATE_EXPIRED", "证书已于"),
        ({"not_before": NOW + timedelta(days=2)}, "CERTIFICATE_NOT_YET_VALID", "证书尚未生效"),
        ({"usages": ("key_encipherment", "data_encipherment")}, "KEY_USAGE_NOT_SIGNING", "请选择签名证书"),
        ({"ekus": ("1.3.6.1.5.5.7.3.1",)}, "EXTENDED_KEY_USAGE", "请选择签名证书"),
    ],
)
@pytest.mark.parametrize("algorithm", ["SM2", "RSA"])
def test_a_certificate_that_may_not_log_in_is_refused(lock_world, algorithm, fields, reason, says):
    lock = make_lock(algorithm, **fields)
    answer = Browser().log_in(lock)
    refused(answer, reason, status=403)
    assert says in answer.json()["error"]["message"]


def test_the_sentence_for_an_expired_certificate_names_the_day(lock_world):
    answer = Browser().log_in(make_lock(not_before=NOW - timedelta(days=400), not_after=NOW - timedelta(days=3)))
    day = timezone.localtime(NOW - timedelta(days=3)).date().isoformat()
    assert answer.json()["error"]["message"] == f"证书已于 {day} 过期"


@pytest.mark.parametrize(("why", "reason"), [("keyCompromise", "CERTIFICATE_REVOKED"), ("certificateHold", "CERTIFICATE_ON_HOLD")])
def test_a_revoked_or_suspended_certificate_is_refused(lock_world, why, reason):
    lock = make_lock()
    bound(lock_world, lock)
    lock_world.revoke(lock, why)
    answer = Browser().log_in(lock)
    refused(answer, reason)
    assert answer.json()["error"]["message"].startswith("证书已被")


def test_without_revocation_data_nobody_comes_in(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    lock_world.without_evidence = True
    answer = Browser().log_in(lock)
    refused(answer, "REVOCATION_UNAVAILABLE")
    assert answer.json()["error"]["message"] == "暂时无法核验证书状态"


def test_a_certificate_from_outside_is_refused(lock_world):
    lock = make_lock("SM2", provider="waimian")
    answer = Browser().log_in(lock)
    refused(answer, "CERTIFICATE_UNTRUSTED")
    assert answer.json()["error"]["message"] == "该证书不在本平台互认范围"


def test_a_ca_certificate_is_no_lock(lock_world):
    owner = family("SM2")
    lock = make_lock()
    lock.key, lock.certificate = owner.issuing.key, owner.issuing.certificate
    refused(Browser().log_in(lock), "CERTIFICATE_IS_CA")


def test_the_chosen_provider_must_have_issued_the_certificate(lock_world):
    lock = make_lock("EC")
    bound(lock_world, lock)
    refused(Browser().log_in(lock, provider="lianxi-sm2"), "PROVIDER_MISMATCH")


def test_a_provider_of_another_site_is_refused(lock_world):
    owner = family("EC", "bieshang")
    install(owner, sites=["zcy"])
    refused(Browser().log_in(make_lock("EC", provider="bieshang")), "PROVIDER_NOT_RECOGNISED_HERE")


def test_a_suspended_provider_lets_nobody_in(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    provider = Provider.objects.get(code=lock.family.provider)
    provider.state = ProviderState.SUSPENDED
    provider.save()
    refused(Browser().log_in(lock), "PROVIDER_SUSPENDED")


# --- binding, account, organisation


def test_a_lock_nobody_bound_is_refused(lock_world):
    answer = Browser().log_in(make_lock())
    refused(answer, "LOCK_NOT_BOUND")
    assert answer.json()["error"]["message"] == "该 CA 锁尚未绑定账户，请先用账号密码登录后绑定"
    assert not LockCertificate.objects.exists()


def test_a_disabled_account_stays_out_and_keeps_its_lock(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    rewrite(Account.objects.get(pk=lock_world.member.pk), state=AccountState.DISABLED)
    refused(Browser().log_in(lock), "ACCOUNT_DISABLED")
    browser = Browser()
    browser.enter(lock_world.colleague)
    assert reason_of(browser.bind(lock, lock_world.colleague)) == "LOCK_BOUND_TO_OTHER"


def test_a_disabled_organisation_keeps_its_members_out(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    Organisation.objects.filter(pk=lock_world.organisation.pk).update(state=OrganisationState.DISABLED)
    refused(Browser().log_in(lock), "ORGANISATION_DISABLED")


def test_another_certificate_with_a_known_serial_does_not_inherit(lock_world):
    lock = make_lock(serial=4711)
    bound(lock_world, lock)
    twin = make_lock(serial=4711, number=1, name="另一人")
    refused(Browser().log_in(twin), "LOCK_HOLDER_CHANGED")


# --- renewal


def test_a_renewal_over_the_same_key_needs_nothing(lock_world):
    lock = make_lock(uscc=USCC)
    binding = bound(lock_world, lock)
    renewed = make_lock(uscc=USCC, not_after=NOW + timedelta(days=700))
    assert Browser().log_in(renewed).status_code == 200
    versions = LockCertificate.objects.filter(lock=binding.lock_id).order_by("created_at")
    assert [version.superseded_at is None for version in versions] == [False, True]
    assert versions[1].supersedes == versions[0]
    assert AuditEvent.objects.filter(event="binding:certificate:renewed", lock=binding.lock_id).count() == 1
    assert Browser().log_in(lock).status_code == 200  # the old certificate of the same key, still valid


def test_a_renewal_with_a_new_key_needs_the_password_once(lock_world):
    lock = make_lock(uscc=USCC)
    binding = bound(lock_world, lock)
    renewed = make_lock(number=1, uscc=USCC)
    answer = Browser().log_in(renewed)
    refused(answer, "RENEWAL_NEEDS_STEP_UP")
    browser = Browser()
    browser.enter(lock_world.member)
    confirmed = browser.bind(renewed, lock_world.member, choose="renew")
    assert confirmed.json()["binding"]["id"] == str(binding.pk)
    assert Browser().log_in(renewed).status_code == 200
    Session.objects.all().delete()
    refused(Browser().log_in(lock), "CERTIFICATE_SUPERSEDED")


@pytest.mark.parametrize(("lost", "status"), [(1, 200), (99, 503)])
def test_two_logins_with_one_renewal_at_once_both_come_in(lock_world, monkeypatch, lost, status):
    """PostgreSQL lets both look for the renewed certificate before either has written it; the second insert then fails."""
    bound(lock_world, make_lock(uscc=USCC))
    real, losses = services.renew_at_login, []

    def raced(seen, lock, standing, *, at):
        if len(losses) < lost:
            losses.append(seen)
            raise IntegrityError("one_row_per_issuer_serial")
        return real(seen, lock, standing, at=at)

    monkeypatch.setattr(services, "renew_at_login", raced)
    answer = Browser().log_in(make_lock(uscc=USCC, not_after=NOW + timedelta(days=700)))
    assert answer.status_code == status
    assert Session.objects.filter(method="ca").count() == (status == 200)
    assert SpentChallenge.objects.count() == 2  # the binding's and this one


def test_another_holders_certificate_on_the_same_lock_does_not_inherit(lock_world):
    lock = make_lock(person_id=id_card("14010119900101123"))
    bound(lock_world, lock)
    for number, reason in enumerate(("LOCK_HOLDER_CHANGED", "LOCK_NOT_BOUND")):
        other = make_lock(number=number, name="李四", person_id=id_card("14010119920303123"))
        refused(Browser().log_in(other), reason)


def test_a_renewal_of_a_revoked_certificate_passes_nothing_on(lock_world):
    lock = make_lock(uscc=USCC)
    binding = bound(lock_world, lock)
    LockCertificate.objects.filter(lock=binding.lock_id).update(revoked_at=timezone.now())
    refused(Browser().log_in(make_lock(uscc=USCC, not_after=NOW + timedelta(days=700))), "PREDECESSOR_REVOKED")


def test_another_provider_never_renews(lock_world):
    lock = make_lock(uscc=USCC)
    bound(lock_world, lock)
    owner = family("SM2", "dier")
    install(owner)
    lock_world.families.append(owner)
    same_key = owner.issuing.issue_lock(
        "测试单位_张三", spare_key("SM2", 0), not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=9),
        lock_id="SX-0001", uscc=USCC,
    )  # fmt: skip
    lock.certificate = same_key
    refused(Browser().log_in(lock), "KEY_ALREADY_KNOWN")


# --- sessions and floods


def test_login_starts_a_new_session_and_ends_the_old_one(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    old = browser.enter(lock_world.colleague)
    before = browser.client.cookies[cookies.session_cookie()].value
    assert browser.log_in(lock).status_code == 200
    assert browser.client.cookies[cookies.session_cookie()].value != before
    old.refresh_from_db()
    assert old.end_reason == "new login"


def test_one_address_cannot_fill_the_audit_trail(lock_world, settings):
    limit = settings.CALOCK.failures_per_minute
    browser = Browser(ip="198.51.100.9")
    browser.challenge()
    answers_seen = [send(browser, "x", GOOD).status_code for _ in range(limit + 20)]
    assert set(answers_seen) == {400}
    assert AuditEvent.objects.filter(event="login:ca:refused").count() == limit
    neighbour = Browser(ip="198.51.100.10")
    neighbour.challenge()
    assert AuditEvent.objects.filter(number=send(neighbour, "x", GOOD).json()["error"]["number"]).exists()


def test_sec07_rubbish_from_an_address_refuses_nobody_at_that_address(lock_world, settings):
    """A103: neither challenges that we never made nor those of other browsers; what is counted is counted by browser."""
    settings.CALOCK = replace(settings.CALOCK, failures_per_minute=3)
    lock = make_lock()
    bound(lock_world, lock)
    foreign = Browser().challenge()
    hostile = Browser()
    hostile.challenge()
    assert {reason_of(send(hostile, text, GOOD)) for text in ["x", "c2.login.x", ""] * 5} == {"CHALLENGE_MALFORMED"}
    assert [hostile.log_in(make_lock("EC", lock_id="SX-0666")).status_code for _ in range(4)][-1] == 429
    assert send(Browser(), foreign, GOOD).status_code == 403
    assert Browser().log_in(lock).status_code == 200


def test_sec07_new_browsers_without_end_have_a_limit_and_a_known_browser_does_not_meet_it(lock_world, settings):
    settings.CALOCK = replace(settings.CALOCK, failures_per_minute=1)
    lock = make_lock()
    bound(lock_world, lock)
    known = Browser()
    assert known.log_in(lock).status_code == 200
    known.client.cookies.pop("calock")
    foreign = make_lock("EC", lock_id="SX-0666")
    statuses = [Browser().log_in(foreign).status_code for _ in range(throttle.CEILING + 1)]
    assert statuses == [403] * throttle.CEILING + [429]
    assert Browser().log_in(lock).status_code == 429
    assert known.log_in(lock).status_code == 200


def test_a_failure_in_the_last_row_of_a_login_leaves_none_of_them(lock_world, monkeypatch):
    lock = make_lock()
    bound(lock_world, lock)

    def without_a_moment(*arguments, **named):
        receipt = receipt_of(*arguments, **named)
        receipt.at = None
        return receipt

    monkeypatch.setattr("calock.server.login.services.receipt_of", without_a_moment)
    refused(Browser().log_in(lock), "ANSWER_NOT_JUDGED", status=400)
    assert not Session.objects.filter(method="ca").exists()
    assert not AuditEvent.objects.filter(event="login:ca:succeeded").exists()


def closed_and_opened(world):
    for state in (AccountState.DISABLED, AccountState.ACTIVE):
        set_account_state(member=world.member, state=state, by=world.operator, context=context(account=world.operator))


def organisation_closed_and_opened(world):
    for state in (OrganisationState.DISABLED, OrganisationState.ACTIVE):
        made = context(account=world.operator)
        set_organisation_state(organisation=world.organisation, state=state, by=world.operator, context=made)


def found_revoked(world):
    version = LockCertificate.objects.select_related("ca_record").get()
    status = RevocationStatus("revoked", "crl", detail="on the list", revoked_at=timezone.now())
    note_revoked(version.ca_record.spki_sha256, version.serial, status=status, at=timezone.now())


def sweep(_world):
    assert sweep_sessions().ended == 1


@pytest.mark.parametrize(
    ("act", "then"),
    [(closed_and_opened, None), (organisation_closed_and_opened, None), (found_revoked, sweep)],
    ids=["account", "organisation", "revoked"],
)
def test_what_ends_sessions_between_the_look_up_of_a_login_and_its_rows_ends_its_session_too(lock_world, monkeypatch, act, then):
    lock = make_lock()
    bound(lock_world, lock)
    find = store.find

    def found_before(*arguments, **named):
        monkeypatch.setattr(store, "find", find)
        found = find(*arguments, **named)
        act(lock_world)
        return found

    monkeypatch.setattr(store, "find", found_before)
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    if then is not None:
        then(lock_world)
    assert browser.client.get("/api/bindings").status_code == 401
    assert Session.objects.get(method="ca").ended_at is not None


def test_the_page_may_be_asked_for_only_on_this_site(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    for wanted in ("//evil.example/", "/\\evil.example", "https:evil.example", "\t//evil.example", "javascript:alert(1)", ""):
        assert Browser().log_in(lock, next=wanted).json() == {"next": "/apps/"}
    assert Browser().log_in(lock, next="/system/ca/").json() == {"next": "/system/ca/"}


def test_holder_ids_are_stored_only_as_keyed_hashes(lock_world):
    lock = make_lock(person_id=id_card("14010119900101123"), uscc="")
    bound(lock_world, lock)
    row = LockCertificate.objects.get()
    assert len(row.holder_hmac) == 52
    assert row.holder_masked.endswith(id_card("14010119900101123")[-4:])
    assert "140101" not in row.holder_masked
    details = json.dumps([event.details for event in AuditEvent.objects.all()])
    assert id_card("14010119900101123") not in details
