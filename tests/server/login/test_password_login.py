"""Logging in with a password: strangers learn nothing, victims cannot be locked out of their lock, and memory is bounded."""

from __future__ import annotations

import dataclasses
import re
import threading
from datetime import timedelta

import pytest
from django.contrib.auth import hashers
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from worlds.browser import Browser, bound, context
from worlds.practice import make_lock
from worlds.races import in_parallel
from worlds.rows import PASSWORD, rewrite

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import password_tries, passwords
from calock.server.accounts.models import Account, AccountState, PasswordTries
from calock.server.accounts.password_tries import LOCK_OUT, STRANGERS_OUT, sweep_password_tries
from calock.server.accounts.services import change_own_password, reset_password
from calock.server.audit.models import AuditEvent
from calock.server.login import services
from calock.server.login.services import login_with_password
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.known_browsers import UNKNOWN
from calock.server.sessions.models import Session
from calock.server.tools import throttle
from calock.server.web import refusals

pytestmark = pytest.mark.django_db

NEW = "Xin-Mi-Ma-2026-abc"


@pytest.fixture
def people(lock_world):
    for account in (lock_world.member, lock_world.colleague):
        give_password(account)
    return lock_world


def give_password(account):
    account.set_password(PASSWORD)
    account.save()


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


def test_unknown_wrong_and_passwordless_look_the_same(people):
    """Also once the tries are used up: names that no account has are counted as well."""
    people.admin.set_unusable_password()
    people.admin.save()
    told = []
    for username in ("nobody", "zhangsan", "guanli"):
        for _ in range(6):
            refusal = refusal_of(username, "x", ip=f"198.51.100.{len(told)}")
            assert refusal.number
        told.append((refusal.reason, refusals.describe(refusal.reason, refusal.facts, number="N")))
    assert told[0] == told[1] == told[2]
    assert told[0][0] == Reason.PASSWORD_TRIES_USED_UP
    assert AuditEvent.objects.filter(event="account:password:locked").count() == 3


def test_sec14_every_refusal_costs_one_hash_and_the_same_statements(people, monkeypatch):
    """What an attacker with a stop-watch would measure: the hash, and what is asked of the database."""
    people.admin.set_unusable_password()
    people.admin.save()
    passwords._dummy_hash()  # made once per process
    counted = []
    original = hashers.Argon2PasswordHasher.verify
    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", lambda self, *args: counted.append(1) or original(self, *args))
    asked = {}
    for username in ("nobody", "zhangsan", "guanli", ""):
        counted.clear()
        with CaptureQueriesContext(connection) as queries:
            refusal_of(username, "wrong password")
        assert len(counted) == 1, username
        asked[username] = [re.sub(r'"s[0-9]+_x[0-9]+"', "", query["sql"]).split()[:3] for query in queries]
    assert asked["zhangsan"] == asked["nobody"] == asked["guanli"] == asked[""]
    assert len(asked["nobody"]) >= 5


def test_five_failures_use_up_the_tries_of_an_address_and_touch_no_lock(people):
    lock = make_lock()
    bound(lock, people.member)
    reasons = [refusal_of("zhangsan", "wrong").reason for _ in range(5)]
    assert set(reasons) == {Reason.CREDENTIALS_WRONG}
    refusal = refusal_of("zhangsan", PASSWORD)
    assert (refusal.reason, refusal.facts) == (Reason.PASSWORD_TRIES_USED_UP, {"minutes": 15})
    row = AuditEvent.objects.get(event="account:password:locked")
    assert (row.subject, row.details["counted"]) == (people.member.pk, "address")
    assert Browser().log_in(lock).status_code == 200
    assert attempt("lisi", PASSWORD)
    assert attempt("zhangsan", PASSWORD, at=timezone.now() + LOCK_OUT + timedelta(seconds=1))


def test_a_change_of_the_secret_starts_no_count_again(people, settings, monkeypatch):
    monkeypatch.setattr(password_tries, "MOST_OF_STRANGERS", 6)
    for _ in range(4):
        refusal_of("zhangsan", "wrong")
    refusal_of("zhangsan", "wrong", ip="203.0.113.5")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next secret of this server, of 32 and more"
    assert refusal_of("zhangsan", "wrong").reason == Reason.CREDENTIALS_WRONG
    assert password_tries.closed_to_strangers_until("zhangsan", at=timezone.now())
    settings.SECRET_KEY_FALLBACKS = []
    assert refusal_of("zhangsan", PASSWORD).reason == Reason.PASSWORD_TRIES_USED_UP
    assert refusal_of("zhangsan", PASSWORD, ip="203.0.113.7").reason == Reason.PASSWORD_TRIES_USED_UP  # the strangers' count too


def test_sec08_a_strangers_wrong_passwords_use_up_the_strangers_tries_alone(people):
    """A104: elsewhere the right password is right, and in the person's session its proof is."""
    mine = context(account=people.member)
    for _ in range(8):
        refusal_of("zhangsan", "wrong", ip="203.0.113.5")
    assert attempt("zhangsan", PASSWORD, ip="203.0.113.6")
    change_own_password(account=people.member, old=PASSWORD, new=NEW, context=mine)


@pytest.fixture
def stranger_everywhere(people, monkeypatch):
    """Somebody with many addresses tried all that unknown browsers may."""
    monkeypatch.setattr(password_tries, "MOST_OF_STRANGERS", 6)
    for number in range(6):
        refusal_of("zhangsan", "wrong", ip=f"203.0.113.{number}")


def test_a_stranger_with_many_addresses_closes_no_known_browser_session_or_lock(people, stranger_everywhere):
    """All unknown browsers together have a limit, or many addresses would be many tries; the ways that remain are told."""
    refusal = refusal_of("zhangsan", PASSWORD, ip="192.0.2.200")
    assert (refusal.reason, refusal.facts) == (Reason.PASSWORD_TRIES_USED_UP, {"minutes": 60})
    told = refusals.describe(refusal.reason, refusal.facts, number="N")
    assert all(way in told["message"] for way in ("CA 锁", "以前登录过的浏览器", "一次性代码"))
    rows = AuditEvent.objects.filter(event="account:password:locked")
    assert [row.details["counted"] for row in rows] == ["strangers"]
    known = UNKNOWN.with_account(people.member.pk)
    assert attempt("zhangsan", PASSWORD, known_browser=known)
    assert refusal_of("zhangsan", PASSWORD, known_browser=UNKNOWN.with_account(people.colleague.pk)).reason == refusal.reason
    change_own_password(account=people.member, old=PASSWORD, new=NEW, context=context(account=people.member))
    lock = make_lock()
    bound(lock, people.member)
    assert Browser().log_in(lock).status_code == 200
    later = timezone.now() + STRANGERS_OUT + timedelta(seconds=1)
    assert attempt("zhangsan", NEW, at=later)


def test_a_browser_is_known_after_a_login_and_after_a_code(people, stranger_everywhere):
    def form(browser):
        return browser.client.post("/login/", {"username": "zhangsan", "password": PASSWORD}).status_code

    browser = Browser()
    assert form(browser) == 429
    code = reset_password(member=people.member, by=people.admin, context=context(account=people.admin))
    typed = {"username": "zhangsan", "code": code, "new": PASSWORD, "again": PASSWORD}
    assert browser.client.post("/password/code/", typed).status_code == 302
    assert form(browser) == 302
    assert form(Browser()) == 429
    cookie = browser.client.cookies["calock-known"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


def test_a_known_browser_has_no_endless_tries(people):
    known = UNKNOWN.with_account(people.member.pk)
    for number in range(5):
        refusal_of("zhangsan", "wrong", known_browser=known, ip=f"203.0.113.{number}")
    assert refusal_of("zhangsan", PASSWORD, known_browser=known).reason == Reason.PASSWORD_TRIES_USED_UP
    assert attempt("zhangsan", PASSWORD)


def test_a_session_has_no_endless_tries(people):
    mine = context(account=people.member)
    reasons = []
    for _ in range(6):
        with pytest.raises(Refusal) as caught:
            change_own_password(account=people.member, old="wrong", new=NEW, context=mine)
        reasons.append(caught.value.reason)
    assert reasons == [Reason.STEP_UP_FAILED] * 5 + [Reason.PASSWORD_TRIES_USED_UP]


def test_a_count_that_is_full_and_was_never_judged_holds_too(people):
    """A process that dies between counting a try and judging it leaves a full count: it must not stay so for ever."""
    refusal_of("zhangsan", "wrong")
    PasswordTries.objects.update(failures=5)
    assert refusal_of("zhangsan", PASSWORD).reason == Reason.PASSWORD_TRIES_USED_UP
    assert attempt("zhangsan", PASSWORD, at=timezone.now() + LOCK_OUT + timedelta(seconds=1))


def test_the_row_of_a_full_count_is_not_lost(people, monkeypatch):
    """The count is marked as told together with the row, or neither is."""

    def fails(*_args, **_kwargs):
        raise DatabaseError

    for _ in range(4):
        refusal_of("zhangsan", "wrong")
    with monkeypatch.context() as broken:
        broken.setattr(passwords, "record", fails)
        with pytest.raises(DatabaseError):
            attempt("zhangsan", "wrong")
    assert not PasswordTries.objects.filter(told=True).exists()


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_five_are_judged(committed_lock_world, monkeypatch):
    """Whatever each of them read of the account before its turn came."""
    give_password(committed_lock_world.member)
    for places in ("_places", "_present"):
        monkeypatch.setattr(passwords, places, threading.BoundedSemaphore(12))
    reasons = in_parallel([lambda: refusal_of("zhangsan", "wrong").reason for _ in range(12)])
    assert reasons.count(Reason.CREDENTIALS_WRONG) == 5
    assert reasons.count(Reason.PASSWORD_TRIES_USED_UP) == 7
    assert AuditEvent.objects.filter(event="account:password:locked").count() == 1


def test_four_failures_and_a_success_start_the_count_again(people):
    for _ in range(2):
        for _ in range(4):
            refusal_of("zhangsan", "wrong")
        attempt("zhangsan", PASSWORD)
    for _ in range(4):
        refusal_of("zhangsan", "wrong")
    assert attempt("zhangsan", PASSWORD)


def test_counts_that_no_longer_hold_are_swept(people):
    at = timezone.now()
    refusal_of("zhangsan", "wrong", at=at)
    assert sweep_password_tries(at=at + LOCK_OUT + timedelta(seconds=1)) == 1
    assert sweep_password_tries(at=at + STRANGERS_OUT + timedelta(seconds=1)) == 1
    assert not PasswordTries.objects.exists()


def test_a_browser_that_tries_many_accounts_is_slowed_down(people, settings):
    settings.CALOCK = dataclasses.replace(settings.CALOCK, failures_per_minute=3)
    for number in range(3):
        refusal_of(f"nobody{number}", "wrong", ip="203.0.113.5")
    refusal = refusal_of("zhangsan", PASSWORD, ip="203.0.113.5")
    assert refusal.reason == Reason.TOO_MANY_ATTEMPTS
    assert 0 < refusal.facts["seconds"] <= 60
    assert attempt("zhangsan", PASSWORD, ip="203.0.113.6")
    assert attempt("zhangsan", PASSWORD, ip="203.0.113.5", browser="c" * 64)
    for number in range(3 * throttle.CEILING):
        refusal_of("zhangsan", "wrong" * 999, ip="203.0.113.5", browser=f"{number:064}")
    assert refusal_of("zhangsan", PASSWORD, ip="203.0.113.5", browser="d" * 64).reason == Reason.TOO_MANY_ATTEMPTS
    assert attempt("zhangsan", PASSWORD, ip="203.0.113.5", known_browser=UNKNOWN.with_account(people.member.pk))


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
    rewrite(people.member, state=AccountState.DISABLED)
    assert refusal_of("zhangsan", "wrong").reason == Reason.CREDENTIALS_WRONG
    assert refusal_of("zhangsan", PASSWORD).reason == Reason.ACCOUNT_DISABLED
    rewrite(people.member, state=AccountState.ACTIVE)
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


def test_sec11_more_checks_than_may_wait_are_refused_at_once(people, monkeypatch):
    """Nobody stands in a thread that a login with a lock needs."""
    monkeypatch.setattr(passwords, "_present", threading.BoundedSemaphore(1))
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
    assert caught.value.reason == Reason.STEP_UP_FAILED


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
