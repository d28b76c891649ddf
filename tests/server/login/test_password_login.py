"""Logging in with a password: strangers learn nothing, victims cannot be locked out of their lock, and memory is bounded."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

import pytest
from django.contrib.auth import hashers
from django.db import DatabaseError
from django.utils import timezone
from lock_world import PASSWORD, Browser, context, in_parallel, make_lock

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.services import change_own_password, reset_password
from calock.server.audit.models import AuditEvent
from calock.server.login import services
from calock.server.login.services import login_with_password
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.models import Session
from calock.server.tools import throttle
from calock.server.web import refusals

pytestmark = pytest.mark.django_db

NEW = "Xin-Mi-Ma-2026-abc"


@pytest.fixture
def people(lock_world):
    for account in (lock_world.member, lock_world.colleague):
        account.set_password(PASSWORD)
        account.save()
    return lock_world


def attempt(username, password, **kwargs):
    return login_with_password(username=username, password=password, context=context(**kwargs))


def refusal_of(username, password, **kwargs):
    with pytest.raises(Refusal) as caught:
        attempt(username, password, **kwargs)
    return caught.value


def test_the_right_password_makes_a_session_and_a_row(people):
    session, cookie = attempt("zhangsan", PASSWORD)
    assert Session.objects.get(pk=session.pk).account == people.member
    assert cookie not in session.pk
    assert AuditEvent.objects.get(event="login:password:succeeded").actor == people.member.pk


def test_unknown_wrong_locked_and_passwordless_look_the_same(people):
    people.admin.set_unusable_password()
    people.admin.save()
    Account.objects.filter(pk=people.colleague.pk).update(password_locked_until=timezone.now() + timedelta(minutes=9))
    told = []
    for username, password in (("nobody", "x"), ("zhangsan", "x"), ("lisi", PASSWORD), ("guanli", "x")):
        refusal = refusal_of(username, password)
        shown = refusals.describe(refusal.reason, refusal.facts, number="N")
        told.append(shown)
        assert refusal.number
    assert told[0] == told[1] == told[2] == told[3]
    details = {row.details["detail"] for row in AuditEvent.objects.filter(event="login:password:refused")}
    assert details == {"no such account", "password wrong", "password not tried"}


def test_every_refusal_costs_one_hash(people, monkeypatch):
    """What an attacker with a stop-watch would measure is the hash: it is computed whoever is asked for."""
    Account.objects.filter(pk=people.colleague.pk).update(password_locked_until=timezone.now() + timedelta(minutes=9))
    passwords.check_dummy("warm")  # the dummy hash itself is made once per process
    counted = []
    original = hashers.Argon2PasswordHasher.verify
    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", lambda self, *args: counted.append(1) or original(self, *args))
    for username in ("nobody", "zhangsan", "lisi", ""):
        counted.clear()
        refusal_of(username, "wrong password")
        assert len(counted) == 1, username


def test_the_fifth_failure_locks_the_password_and_not_the_lock(people):
    lock = make_lock()
    browser = Browser()
    browser.enter(people.admin)
    assert browser.bind(lock, people.member).status_code == 200
    for number in range(5):
        refusal_of("zhangsan", "wrong", ip=f"203.0.113.{number}")
    assert refusal_of("zhangsan", PASSWORD, ip="203.0.113.77").reason == Reason.CREDENTIALS_WRONG
    assert AuditEvent.objects.filter(event="account:password:locked").count() == 1
    assert Browser().log_in(lock).status_code == 200
    later = timezone.now() + passwords.LOCK_OUT + timedelta(seconds=1)
    assert attempt("zhangsan", PASSWORD, at=later)


def test_a_count_that_is_full_and_was_never_judged_locks_too(people):
    """A process that dies between counting a try and judging it leaves a full count: it must not stay so for ever."""
    Account.objects.filter(username="zhangsan").update(failed_passwords=5)
    refusal_of("zhangsan", PASSWORD)
    assert AuditEvent.objects.filter(event="account:password:locked").count() == 1
    assert attempt("zhangsan", PASSWORD, at=timezone.now() + passwords.LOCK_OUT + timedelta(seconds=1))


def test_the_lock_out_and_its_row_are_written_together_or_not_at_all(people, monkeypatch):
    Account.objects.filter(username="zhangsan").update(failed_passwords=4)

    def fails(*_args, **_kwargs):
        raise DatabaseError

    monkeypatch.setattr(passwords, "record", fails)
    with pytest.raises(DatabaseError):
        attempt("zhangsan", "wrong")
    assert Account.objects.get(username="zhangsan").password_locked_until is None


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_five_are_judged(people, monkeypatch):
    """Whatever each of them read of the account before its turn came."""
    monkeypatch.setattr(passwords, "PATIENCE", 60)
    monkeypatch.setattr(passwords, "_places", threading.BoundedSemaphore(12))
    details = in_parallel([lambda n=n: refusal_of("zhangsan", "wrong", ip=f"203.0.113.{n}").detail for n in range(12)])
    assert sum(detail.startswith("password wrong") for detail in details) == 5
    assert details.count("password not tried") == 7
    assert AuditEvent.objects.filter(event="account:password:locked").count() == 1


def test_four_failures_and_a_success_start_the_count_again(people):
    for _ in range(2):
        for _ in range(4):
            refusal_of("zhangsan", "wrong")
        attempt("zhangsan", PASSWORD)
    assert Account.objects.get(username="zhangsan").failed_passwords == 0


def test_one_address_trying_many_accounts_is_slowed_down(people, settings):
    for number in range(settings.CALOCK.failures_per_minute):
        throttle.count_failure("password", "203.0.113.5")
        assert number >= 0
    refusal = refusal_of("zhangsan", PASSWORD, ip="203.0.113.5")
    assert refusal.reason == Reason.TOO_MANY_ATTEMPTS
    assert 0 < refusal.facts["seconds"] <= 60
    assert attempt("zhangsan", PASSWORD, ip="203.0.113.6")


def test_addresses_of_one_ipv6_customer_count_as_one():
    assert throttle.address_key("2001:db8::1") == throttle.address_key("2001:db8::ffff")
    assert throttle.address_key("2001:db8::1") != throttle.address_key("2001:db8:0:1::1")
    assert throttle.address_key("::ffff:192.0.2.1") != throttle.address_key("::ffff:192.0.2.2")


@pytest.mark.parametrize("word", ["é" * 12, "密码一二三四五六七八九", "😀" * 64, "ends with blank ", "a" * 1000 + "b"])
def test_the_whole_password_counts(people, word):
    people.member.set_password(passwords.normalised(word))
    people.member.save()
    assert attempt("zhangsan", word)
    assert refusal_of("zhangsan", word[:-1]).reason == Reason.CREDENTIALS_WRONG


def test_composed_and_decomposed_letters_are_one_password(people):
    people.member.set_password(passwords.normalised("caf\u00e9-caf\u00e9-12"))
    people.member.save()
    assert attempt("zhangsan", "cafe\u0301-cafe\u0301-12")


@pytest.mark.parametrize("word", ["a" * 1025, "a" * 1_000_000, "nul\x00nul", "\ud800", ""])
def test_what_cannot_be_a_password_is_refused(people, word):
    assert refusal_of("zhangsan", word).reason == Reason.CREDENTIALS_WRONG


@pytest.mark.parametrize("username", ["", "\x00", "a" * 10_000, "' OR 1=1 --", "ＺＨＡＮＧＳＡＮ", "zhangsan\r\n"])
def test_strange_account_names_are_nobody(people, username):
    assert refusal_of(username, PASSWORD).reason == Reason.CREDENTIALS_WRONG


def test_a_disabled_account_learns_so_only_with_its_password(people):
    Account.objects.filter(pk=people.member.pk).update(state=AccountState.DISABLED)
    assert refusal_of("zhangsan", "wrong").reason == Reason.CREDENTIALS_WRONG
    assert refusal_of("zhangsan", PASSWORD).reason == Reason.ACCOUNT_DISABLED
    Account.objects.filter(pk=people.member.pk).update(state=AccountState.ACTIVE)
    Organisation.objects.filter(pk=people.organisation.pk).update(state=OrganisationState.DISABLED)
    assert refusal_of("zhangsan", PASSWORD).reason == Reason.ORGANISATION_DISABLED
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [("password", "CREDENTIALS_WRONG"), ("state", "ACCOUNT_DISABLED"), ("organisation", "ORGANISATION_DISABLED")],
)
def test_what_changes_while_a_password_is_checked_counts(people, monkeypatch, changed, reason):
    """The old password was right a moment ago; its session would outlive the change, which ends those there are."""
    real = services._enter_by_password
    member = people.member

    def crossed(account, made):
        if changed == "password":
            change_own_password(account=Account.objects.get(pk=member.pk), old=PASSWORD, new=NEW, context=context(account=member))
        elif changed == "state":
            Account.objects.filter(pk=member.pk).update(state=AccountState.DISABLED)
        else:
            Organisation.objects.filter(pk=member.organisation_id).update(state=OrganisationState.DISABLED)
        return real(account, made)

    monkeypatch.setattr(services, "_enter_by_password", crossed)
    assert refusal_of(member.username, PASSWORD).reason == reason
    assert not AuditEvent.objects.filter(event="login:password:succeeded").exists()


def test_more_checks_at_once_than_places_are_refused(people, monkeypatch):
    monkeypatch.setattr(passwords, "_places", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "PATIENCE", 0.01)
    with passwords._place():
        assert refusal_of("zhangsan", PASSWORD).reason == Reason.SERVER_BUSY
    assert attempt("zhangsan", PASSWORD)


def test_no_password_reaches_a_log_or_the_trail(people, caplog):
    refusal_of("zhangsan", "Secret-Wrong-Word-1")
    attempt("zhangsan", PASSWORD)
    written = caplog.text + repr(list(AuditEvent.objects.values()))
    assert "Secret-Wrong-Word-1" not in written
    assert PASSWORD not in written


# --- changing it

NEW = "Xin-Mi-Ma-2027-ok"


@pytest.mark.parametrize(
    "word",
    ["short-1", "password1234", "zhangsan-2027", "我是张三我的密码很长", "aaaaaaaaaaaa", "1234567890", PASSWORD, "x" * 1025],
)
def test_weak_passwords_are_refused(people, word):
    with pytest.raises(Refusal) as caught:
        change_own_password(account=people.member, old=PASSWORD, new=word, context=context(account=people.member))
    assert caught.value.reason == Reason.PASSWORD_UNACCEPTABLE
    assert caught.value.facts["why"]
    assert attempt("zhangsan", PASSWORD)


def test_changing_the_password_ends_every_other_session(people):
    other, _ = attempt("zhangsan", PASSWORD)
    made = context(account=people.member)
    change_own_password(account=people.member, old=PASSWORD, new=NEW, context=made)
    assert Session.objects.get(pk=other.pk).end_reason == "password changed"
    assert Session.objects.get(pk=made.session.pk).ended_at is None
    assert attempt("zhangsan", NEW)


def test_a_throttled_password_login_is_in_the_trail_once_a_minute(people, settings):
    settings.CALOCK = dataclasses.replace(settings.CALOCK, failures_per_minute=2)
    client = Browser().client
    answers = [client.post("/login/", {"username": "zhangsan", "password": "wrong"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 429, 429, 429]
    row = AuditEvent.objects.get(reason="TOO_MANY_ATTEMPTS")
    assert row.number in answers[2].content.decode()


def test_the_old_password_is_asked_for(people):
    with pytest.raises(Refusal) as caught:
        change_own_password(account=people.member, old="wrong", new=NEW, context=context(account=people.member))
    assert caught.value.reason == Reason.CREDENTIALS_WRONG


def test_a_password_somebody_else_set_must_be_changed_first(people):
    """Passwords that an earlier version let administrators choose."""
    people.member.set_password(NEW)
    people.member.must_change_password = True
    people.member.save()
    browser = Browser()
    _, cookie = attempt("zhangsan", NEW)
    browser.client.cookies["calock"] = cookie
    answer = browser.client.get("/api/bindings")
    assert answer.json()["error"]["reason"] == "PASSWORD_CHANGE_REQUIRED"
    page = browser.client.get("/system/ca/")
    assert (page.status_code, page.headers["Location"]) == (302, "/password/")
    assert browser.client.get("/password/").status_code == 200
    change_own_password(
        account=Account.objects.get(username="zhangsan"), old=NEW, new=NEW + "-er", context=context(account=people.member)
    )
    _, browser.client.cookies["calock"] = attempt("zhangsan", NEW + "-er")
    assert browser.client.get("/api/bindings").status_code == 200


@pytest.mark.parametrize("by", ["colleague", "outside_admin", "expert", "member"])
def test_only_an_administrator_of_the_same_organisation_resets(people, by):
    actor = getattr(people, by)
    with pytest.raises(Refusal) as caught:
        reset_password(member=people.member, by=actor, context=context(account=actor))
    assert caught.value.reason == Reason.NOT_FOUND
    assert attempt("zhangsan", PASSWORD)


def test_an_administrator_cannot_reset_an_operator_or_another_administrator(people):
    for member in (people.operator, people.outside_admin):
        with pytest.raises(Refusal):
            reset_password(member=member, by=people.admin, context=context(account=people.admin))
