"""Sessions: what a cookie is worth, on which site, for how long, and what ends it."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from worlds.browser import Browser, context, logged_in
from worlds.practice import HOST, make_lock

from calock.core.refusals import Refusal
from calock.server.accounts.members import set_account_state
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.organisations import set_organisation_state
from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.challenges.services import sweep_spent_challenges
from calock.server.locks.models import Binding
from calock.server.login.services import logout
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_own_session, end_session
from calock.server.sites import registry
from calock.server.tools import clock
from calock.server.tools.digests import digest

pytestmark = pytest.mark.django_db


def alive(browser):
    return browser.client.get("/api/bindings").status_code == 200


def reason(browser):
    return browser.client.get("/api/bindings").json()["error"]["reason"]


def test_the_table_does_not_hold_the_cookie(lock_world):
    browser = Browser()
    session = browser.enter(lock_world.member)
    value = browser.client.cookies["calock"].value
    assert len(value) == 43
    assert value not in json.dumps(list(Session.objects.values()), default=str)
    assert session.digest == digest(value)


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "a" * 44, "../../etc", "é" * 43, '"' + "a" * 43 + '"', "a" * 4000, "a;b=c"])
def test_a_malformed_or_unknown_cookie_is_no_session(lock_world, value):
    client = Client(
        headers={"host": HOST}, HTTP_COOKIE=f"calock={value}; other=\xff\xfe; " + "; ".join(f"c{n}=1" for n in range(100))
    )
    answer = client.get("/api/bindings")
    assert (answer.status_code, answer.json()["error"]["reason"]) == (401, "SESSION_REQUIRED")


def test_a_session_belongs_to_one_site(lock_world):
    browser = Browser()
    browser.enter(lock_world.member)
    assert alive(browser)
    answer = browser.client.get("/api/bindings", headers={"host": "zcy.localhost:8000"})
    assert answer.json()["error"]["reason"] == "SESSION_REQUIRED"


@pytest.mark.parametrize(
    ("who", "site_minutes", "minutes"),
    [("member", 15, 15), ("operator", 15, 15), ("member", 5, 5), ("member", 60, 60), ("operator", 60, 15)],
)
def test_a66_idle_sessions_end_as_the_sites_profile_says(lock_world, monkeypatch, who, site_minutes, minutes):
    profile = registry.sites()["shanxi"]
    assert profile.idle_minutes == 15
    changed = {**registry.sites(), "shanxi": msgspec.structs.replace(profile, idle_minutes=site_minutes)}
    monkeypatch.setattr(registry, "sites", lambda: changed)
    browser = Browser()
    session = browser.enter(getattr(lock_world, who))
    rows = Session.objects.filter(pk=session.pk)
    rows.update(last_seen_at=timezone.now() - timedelta(minutes=minutes) + timedelta(seconds=20))
    assert alive(browser)
    rows.update(last_seen_at=timezone.now() - timedelta(minutes=minutes, seconds=1))
    assert reason(browser) == "SESSION_ENDED"
    assert rows.get().end_reason == "idle"


@pytest.fixture
def wrong_clock(monkeypatch):
    """Put this machine's clock wrong, after it has looked at the database's; what time it really is."""
    real = timezone.now
    monkeypatch.setattr(clock._Shared, "at", real())
    monkeypatch.setattr(clock._Shared, "monotonic", time.monotonic())

    def put(ahead: timedelta):
        monkeypatch.setattr(timezone, "now", lambda: real() + ahead)
        return real

    return put


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=1)])
def test_a_machine_with_a_wrong_clock_judges_sessions_by_the_shared_one(lock_world, wrong_clock, ahead):
    """FLT05: it neither ends what others opened nor keeps what is over."""
    browser = Browser()
    session = browser.enter(lock_world.member)
    real = wrong_clock(ahead)
    rows = Session.objects.filter(pk=session.pk)
    rows.update(last_seen_at=real() - timedelta(minutes=14))
    assert alive(browser)
    assert abs(rows.get().last_seen_at - real()) < timedelta(minutes=1)
    rows.update(last_seen_at=real() - timedelta(minutes=16))
    assert reason(browser) == "SESSION_ENDED"


def test_what_a_machine_with_a_wrong_clock_opens_is_worth_as_much_as_others(lock_world, wrong_clock):
    lock = make_lock()
    logged_in(lock_world.member).bind(lock, lock_world.member)
    lock_world.evidence()
    real = wrong_clock(timedelta(hours=1))
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    row = Session.objects.get(lock__isnull=False)
    assert abs(row.created_at - real()) < timedelta(minutes=1)
    assert abs(row.expires_at - real() - timedelta(hours=12)) < timedelta(minutes=1)


def test_a_session_from_the_future_idles_from_now_on(lock_world):
    """An older version on a machine with a wrong clock wrote it."""
    browser = Browser()
    session = browser.enter(lock_world.member)
    rows = Session.objects.filter(pk=session.pk)
    rows.update(last_seen_at=timezone.now() + timedelta(hours=5))
    assert alive(browser)
    assert abs(rows.get().last_seen_at - timezone.now()) < timedelta(minutes=1)


def test_no_session_lives_longer_than_twelve_hours(lock_world):
    browser = Browser()
    session = browser.enter(lock_world.member, at=timezone.now() - timedelta(hours=12, seconds=1))
    Session.objects.filter(pk=session.pk).update(last_seen_at=timezone.now())
    assert reason(browser) == "SESSION_ENDED"


def test_being_there_is_noted_at_most_every_half_minute(lock_world):
    browser = Browser()
    session = browser.enter(lock_world.member)
    seen = Session.objects.get(pk=session.pk).last_seen_at
    assert alive(browser)
    assert Session.objects.get(pk=session.pk).last_seen_at == seen
    Session.objects.filter(pk=session.pk).update(last_seen_at=timezone.now() - timedelta(minutes=2))
    assert alive(browser)
    assert Session.objects.get(pk=session.pk).last_seen_at > seen


def test_logging_out_ends_the_session_on_the_server(lock_world):
    browser = Browser()
    session = browser.enter(lock_world.member)
    logout(session=session, context=context())
    assert reason(browser) == "SESSION_ENDED"
    assert browser.client.cookies["calock"].value == ""
    assert AuditEvent.objects.get(event="session:ended").actor == lock_world.member.pk


def test_disabling_an_account_ends_its_sessions_at_once(lock_world):
    browser = Browser()
    browser.enter(lock_world.member)
    made = context(account=lock_world.admin)
    set_account_state(member=lock_world.member, state=AccountState.DISABLED, by=lock_world.admin, context=made)
    assert reason(browser) == "SESSION_ENDED"
    set_account_state(member=lock_world.member, state=AccountState.ACTIVE, by=lock_world.admin, context=made)
    assert reason(browser) == "SESSION_REQUIRED"


def test_enabling_what_is_enabled_ends_no_session(lock_world):
    browser = Browser()
    browser.enter(lock_world.member)
    made = context(account=lock_world.operator)
    set_account_state(member=lock_world.member, state=AccountState.ACTIVE, by=lock_world.operator, context=made)
    organisation = lock_world.organisation
    set_organisation_state(organisation=organisation, state=OrganisationState.ACTIVE, by=lock_world.operator, context=made)
    assert browser.client.get("/sessions/").status_code == 200


@pytest.mark.parametrize("model", ["account", "organisation"])
def test_a_session_does_not_outlive_a_change_made_in_the_database(lock_world, model):
    browser = Browser()
    browser.enter(lock_world.member)
    if model == "account":
        Account.objects.filter(pk=lock_world.member.pk).update(state=AccountState.DISABLED)
    else:
        Organisation.objects.filter(pk=lock_world.organisation.pk).update(state=OrganisationState.DISABLED)
    assert reason(browser) == "SESSION_ENDED"


def test_a_lock_session_needs_its_live_binding(lock_world):
    lock = make_lock()
    admin = Browser()
    admin.enter(lock_world.admin)
    admin.bind(lock, lock_world.member)
    browser = Browser()
    browser.log_in(lock)
    assert alive(browser)
    Binding.objects.update(unbound_at=timezone.now())  # ended while a login was under way
    assert reason(browser) == "SESSION_ENDED"


def test_a_lock_session_that_crossed_an_unbinding_does_not_come_back_with_the_next_binding(lock_world):
    """Such a login found the binding, and wrote its session when the sessions of the binding had been ended."""
    lock = make_lock()
    crossed = Browser()
    session = bound_session(lock_world, lock, crossed)
    Binding.objects.update(unbound_at=timezone.now())
    again = Browser()
    again.enter(lock_world.member)
    assert again.bind(lock, lock_world.member).status_code == 200
    assert reason(crossed) == "SESSION_ENDED"
    session.refresh_from_db()
    assert session.end_reason == "lock unbound"
    assert Browser().log_in(lock).status_code == 200


def bound_session(world, lock, browser):
    member = Browser()
    member.enter(world.member)
    assert member.bind(lock, world.member).status_code == 200
    assert browser.log_in(lock).status_code == 200
    return Session.objects.get(method="ca")


def test_one_can_end_only_ones_own_sessions(lock_world):
    browser = Browser()
    session = browser.enter(lock_world.member)
    with pytest.raises(Refusal):
        end_own_session(session=session, by=lock_world.colleague.pk, context=context(account=lock_world.colleague))
    assert alive(browser)
    end_own_session(session=session, by=lock_world.member.pk, context=context(account=lock_world.member))
    assert reason(browser) == "SESSION_ENDED"


@pytest.mark.parametrize(
    ("why", "word", "says"),
    [
        ("lock unbound", "unbound", "登录所用的 CA 锁已解除绑定"),
        ("idle", "idle", "较长时间没有操作"),
        ("record damaged", "damaged", "账户记录的完整性校验未通过"),
        ("ended by its owner", "ended", "登录已失效"),
    ],
)
def test_who_was_logged_in_reads_why_he_must_log_in_again(lock_world, why, word, says):
    browser = Browser()
    session = browser.enter(lock_world.member)
    end_session(session=session, reason=why, at=timezone.now())
    answer = browser.client.get("/system/ca/")
    assert answer.headers["Location"] == f"/login/?next=%2Fsystem%2Fca%2F&over={word}"
    page = browser.client.get(answer.headers["Location"]).content.decode()
    assert says in page
    assert 'role="status"' in page.split("data-tabs", 1)[1].split("tablist", 1)[0]
    assert says not in browser.client.get("/login/?over=<script>").content.decode()


def test_a_page_asks_for_login_and_remembers_where_to_go(lock_world):
    answer = Browser().client.get("/system/ca/?q=a&page=2")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login/?next=%2Fsystem%2Fca%2F%3Fq%3Da%26page%3D2"


def test_cookies_are_locked_down_on_a_real_site(lock_world, settings):
    settings.CALOCK = replace(settings.CALOCK, insecure_http=False)
    client = Client(headers={"host": "shanxi.localhost"})
    answer = client.post("/api/challenge", '{"purpose":"login"}', content_type="application/json")
    morsel = answer.cookies["__Host-calock-pre"]
    assert (morsel["secure"], morsel["httponly"], morsel["samesite"], morsel["path"], morsel["domain"]) == (
        True,
        True,
        "Lax",
        "/",
        "",
    )


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=2), timedelta(days=-2)])
def test_used_challenges_are_kept_for_a_day_by_the_databases_clock(lock_world, monkeypatch, ahead):
    """FLT05: whatever this machine's clock shows, it makes no used challenge good again for the others."""
    browser = Browser()
    browser.post("/api/login", {"challenge": browser.challenge(), "token": make_lock().sign("x")})
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead)
    assert sweep_spent_challenges() == 0
    rows = SpentChallenge.objects
    rows.update(spent_at=Now() - timedelta(hours=23))
    assert sweep_spent_challenges() == 0
    rows.update(spent_at=Now() - timedelta(hours=25))
    assert sweep_spent_challenges() == 1
    assert not rows.exists()
