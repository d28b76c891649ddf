"""绑定 CA 锁后不再允许密码登录: a switch of the account, its organisation, or the site (SEC09)."""

from __future__ import annotations

import msgspec
import pytest
from worlds.browser import Browser, bound, context, logged_in, refusal_row
from worlds.practice import ORIGIN, make_lock
from worlds.rows import PASSWORD

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import members, organisations
from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.locks import password_rules
from calock.server.locks.models import Binding
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice
from calock.server.sites.registry import sites

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(lock_world):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    return lock_world.member


def password_login() -> str:
    try:
        login_with_password(username="zhangsan", password=PASSWORD, context=context())
    except Refusal as refusal:
        return refusal.reason.value
    return "in"


@pytest.mark.parametrize(
    ("site", "organisation", "account", "outcome"),
    [
        (False, None, None, "in"),
        (False, True, None, Reason.PASSWORD_LOGIN_OFF),
        (False, True, False, "in"),
        (False, None, True, Reason.PASSWORD_LOGIN_OFF),
        (False, False, True, Reason.PASSWORD_LOGIN_OFF),
        (True, None, None, Reason.PASSWORD_LOGIN_OFF),
        (True, False, None, "in"),
        (True, None, False, "in"),
    ],
)
def test_the_nearest_switch_decides_once_a_lock_is_bound(lock_world, member, monkeypatch, site, organisation, account, outcome):
    profiles = {code: msgspec.structs.replace(profile, lock_only=site) for code, profile in sites().items()}
    monkeypatch.setattr(password_rules, "sites", lambda: profiles)
    made = context(account=lock_world.admin)
    if organisation is not None:
        organisations.set_lock_only(organisation=lock_world.organisation, value=organisation, by=lock_world.admin, context=made)
    if account is not None:
        members.set_lock_only(member=member, value=account, by=lock_world.admin, context=made)
    assert password_login() == "in"  # no lock is bound yet
    bound(make_lock(), Account.objects.get(pk=member.pk))
    assert password_login() == outcome
    assert Browser().log_in(make_lock()).status_code == 200


def test_the_password_proves_nothing_then_and_the_page_offers_the_lock(lock_world, member):
    own = make_lock()
    binding = bound(own, member)
    members.set_lock_only(member=member, value=True, by=lock_world.admin, context=context(account=lock_world.admin))
    browser = logged_in(Account.objects.get(pk=member.pk))
    refusal_row(browser.post("/api/step-up", {"password": PASSWORD}), "LOCK_PROOF_REQUIRED")
    refusal_row(browser.post(f"/api/bindings/{binding.pk}/end", {"reason": "x", "password": PASSWORD}), "LOCK_PROOF_REQUIRED")
    page = browser.client.get("/system/ca/").content.decode()
    assert 'id="end-password"' not in page
    assert 'id="bind-password"' not in page
    assert 'data-purpose="stepup"' in browser.client.get("/confirm/").content.decode()
    assert browser.step_up(own).status_code == 200
    assert browser.post(f"/api/bindings/{binding.pk}/end", {"reason": "换锁"}).status_code == 200
    assert password_login() == "in"  # without a lock the password works again


def test_a_lost_lock_is_unbound_by_the_administrator(lock_world, member):
    binding = bound(make_lock(), member)
    members.set_lock_only(member=member, value=True, by=lock_world.operator, context=context(account=lock_world.operator))
    lock_world.admin.set_password(PASSWORD)
    lock_world.admin.save()
    answer = logged_in(lock_world.admin).post(f"/api/bindings/{binding.pk}/end", {"reason": "遗失", "password": PASSWORD})
    assert answer.status_code == 200
    assert password_login() == "in"


def test_the_person_is_told_and_the_trail_keeps_it(lock_world, member):
    members.set_lock_only(member=member, value=True, by=lock_world.admin, context=context(account=lock_world.admin))
    assert Notice.objects.get().kind == "lock_only_changed"
    row = AuditEvent.objects.get(event="account:lock_only:changed")
    assert (row.actor, row.subject, row.details["value"]) == (lock_world.admin.pk, member.pk, "True")


@pytest.mark.parametrize("who", ["colleague", "outside_admin", "expert", "member"])
def test_nobody_else_turns_it_on_or_off(lock_world, member, who):
    actor = getattr(lock_world, who)
    made = context(account=actor)
    with pytest.raises(Refusal):
        members.set_lock_only(member=member, value=True, by=actor, context=made)
    with pytest.raises(Refusal):
        organisations.set_lock_only(organisation=lock_world.organisation, value=True, by=actor, context=made)
    assert password_login() == "in"


@pytest.mark.parametrize("value", [False, None])
def test_an_operator_alone_does_not_let_passwords_in_again(lock_world, member, value):
    """They can have the password reset: together both would let one person in where a lock was wanted."""
    operator, made = lock_world.operator, context(account=lock_world.operator)
    members.set_lock_only(member=member, value=True, by=operator, context=made)
    organisations.set_lock_only(organisation=lock_world.organisation, value=True, by=operator, context=made)
    for change in (
        lambda: members.set_lock_only(member=member, value=value, by=operator, context=made),
        lambda: organisations.set_lock_only(organisation=lock_world.organisation, value=value, by=operator, context=made),
    ):
        with pytest.raises(Refusal) as caught:
            change()
        assert caught.value.reason == Reason.SECOND_OPERATOR_NEEDED
    bound(make_lock(), member)
    assert password_login() == Reason.PASSWORD_LOGIN_OFF


def test_the_administrators_page_turns_it_on_for_the_organisation(lock_world, member):
    browser = logged_in(lock_world.admin)
    answer = browser.client.post("/system/members/way-in/", {"value": "on"}, headers={"origin": ORIGIN})
    assert answer.headers["Location"] == "/system/members/?done=way"
    assert "只能用 CA 锁登录" in browser.client.get("/system/members/").content.decode()
    bound(make_lock(), member)
    assert password_login() == Reason.PASSWORD_LOGIN_OFF
    assert Binding.objects.live().count() == 1
