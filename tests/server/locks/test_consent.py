"""An administrator binds a lock for a member: the member is told, or consent is waited for, as the site says (SEC13, A57)."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from worlds.browser import Browser, context, logged_in, refusal_row
from worlds.practice import ORIGIN, family, make_lock
from worlds.rows import PASSWORD, install

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.accounts.services import reset_password
from calock.server.audit.models import AuditEvent
from calock.server.locks import consent
from calock.server.locks.models import Binding
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice
from calock.server.sites.registry import sites

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(lock_world):
    return Account.objects.create_account(
        username="guanli2", name="周管理", role=Role.ORGANISATION_ADMIN, organisation=lock_world.organisation
    )


@pytest.fixture
def asks(monkeypatch):
    def asks(whom: str) -> None:
        profiles = {
            code: msgspec.structs.replace(profile, members=msgspec.structs.replace(profile.members, bind_for_member=whom))
            for code, profile in sites().items()
        }
        monkeypatch.setattr(consent, "sites", lambda: profiles)

    return asks


def bind_for(world, lock) -> Binding:
    answer = logged_in(world.admin).bind(lock, world.member)
    assert answer.status_code == 200, answer.content.decode()
    return Binding.objects.get()


def confirm(browser, binding) -> int:
    return browser.client.post(f"/system/ca/{binding.pk}/confirm/", headers={"origin": ORIGIN}).status_code


def test_sec13_the_member_is_told_at_once(lock_world):
    lock = make_lock()
    bind_for(lock_world, lock)
    assert Browser().log_in(lock).status_code == 200
    html = logged_in(lock_world.member).client.get("/system/").content.decode()
    assert "由本单位管理员王管理绑定了 CA 锁 SX-0001，持有该锁的人可以登录您的账户" in html


def test_sec13_where_the_site_asks_the_member_the_lock_waits_for_them(lock_world, second, asks):
    asks("member")
    lock = make_lock()
    binding = bind_for(lock_world, lock)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_CONFIRMED")
    member = logged_in(lock_world.member)
    refusal_row(member.step_up(lock), "STEP_UP_FAILED")  # whoever holds it cannot consent with it
    page = member.client.get("/system/ca/").content.decode()
    assert "待本人确认" in page
    assert f"/system/ca/{binding.pk}/confirm/" in page
    for other in (lock_world.admin, second, lock_world.colleague):
        assert confirm(logged_in(other), binding) == 404
        row = AuditEvent.objects.get(event="binding:lock:confirm_refused", actor=other.pk)
        assert (row.reason, row.details["binding"]) == ("BINDING_NOT_FOUND", str(binding.pk))
    assert Binding.objects.get().awaits == "member"
    assert confirm(member, binding) == 302
    assert Browser().log_in(lock).status_code == 200
    row = AuditEvent.objects.get(event="binding:lock:confirmed")
    assert (row.actor, row.subject) == (lock_world.member.pk, lock_world.member.pk)
    told = Notice.objects.get(account=lock_world.member, kind="lock_bound")  # whoever has the password could have done it
    assert (told.facts["by_role"], told.dismissed_at) == ("self", row.at)
    assert confirm(member, binding) == 404


def test_sec13_where_the_site_asks_another_administrator_it_waits_for_one(lock_world, second, asks):
    asks("administrator")
    lock = make_lock()
    binding = bind_for(lock_world, lock)
    refusal_row(Browser().log_in(lock), "LOCK_NOT_CONFIRMED")
    for other in (lock_world.admin, lock_world.member, lock_world.colleague, lock_world.outside_admin):
        assert confirm(logged_in(other), binding) == 404
    assert not Notice.objects.exists()
    assert confirm(logged_in(second), binding) == 302
    assert Browser().log_in(lock).status_code == 200
    assert Notice.objects.get().account == lock_world.member


def test_consent_asks_for_a_fresh_proof(lock_world, asks):
    from datetime import timedelta  # noqa: PLC0415 - used here alone

    from django.utils import timezone  # noqa: PLC0415

    asks("member")
    binding = bind_for(lock_world, make_lock())
    browser = Browser()
    browser.enter(lock_world.member, at=timezone.now() - timedelta(minutes=6))
    answer = browser.client.post(f"/system/ca/{binding.pk}/confirm/", headers={"origin": ORIGIN})
    assert answer.headers["Location"] == "/confirm/?next=%2Fsystem%2Fca%2F"
    assert Binding.objects.get().awaits == "member"


def test_a_lock_that_waits_does_not_shut_its_member_out(lock_world, asks):
    """It logs nobody in yet, so it takes no password away, and it is not the other way in that keeps the last lock from going."""
    asks("member")
    lock_world.member.set_password(PASSWORD)
    lock_world.member.lock_only = True
    lock_world.member.save()
    binding = bind_for(lock_world, make_lock())
    assert login_with_password(username="zhangsan", password=PASSWORD, context=context())
    browser = logged_in(Account.objects.get(pk=lock_world.member.pk))
    assert 'id="password"' in browser.client.get("/confirm/").content.decode()
    assert confirm(browser, binding) == 302
    with pytest.raises(Refusal) as caught:
        login_with_password(username="zhangsan", password=PASSWORD, context=context())
    assert caught.value.reason == Reason.PASSWORD_LOGIN_OFF


def test_whoever_had_the_members_password_reset_does_not_consent_for_them(lock_world, asks):
    asks("member")
    binding = bind_for(lock_world, make_lock())
    reset_password(member=lock_world.member, by=lock_world.admin, context=context(account=lock_world.admin))
    assert confirm(logged_in(Account.objects.get(pk=lock_world.member.pk)), binding) == 403
    assert Binding.objects.get().awaits == "member"


def test_an_administrator_whose_password_was_reset_consents_for_nobody(lock_world, second, asks):
    asks("administrator")
    binding = bind_for(lock_world, make_lock())
    reset_password(member=second, by=lock_world.operator, context=context(account=lock_world.operator))
    browser = logged_in(Account.objects.get(pk=second.pk))
    assert confirm(browser, binding) == 403
    lock = make_lock("EC", lock_id="SX-9")
    assert browser.bind(lock, Account.objects.get(pk=second.pk)).status_code == 200
    assert browser.step_up(lock).status_code == 200
    assert confirm(browser, binding) == 403
    assert Binding.objects.get(pk=binding.pk).awaits == "administrator"


def test_the_member_ends_what_they_did_not_want(lock_world, asks):
    asks("member")
    lock_world.member.set_password("Chang-Cheng-7-Li")
    lock_world.member.save()
    binding = bind_for(lock_world, make_lock())
    end = {"reason": "不是我的锁", "password": "Chang-Cheng-7-Li"}
    assert logged_in(lock_world.member).post(f"/api/bindings/{binding.pk}/end", end).status_code == 200
    assert confirm(logged_in(lock_world.member), binding) == 404


@pytest.mark.parametrize("whom", ["member", "administrator"])
def test_ones_own_lock_waits_for_nobody(lock_world, asks, whom):
    asks(whom)
    lock = make_lock()
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    assert Browser().log_in(lock).status_code == 200


def test_who_became_an_administrator_meanwhile_needs_no_consent_of_another(lock_world, second, asks):
    """Nobody binds for an administrator, and nobody's consent makes it so."""
    asks("administrator")
    lock = make_lock()
    binding = bind_for(lock_world, lock)
    Account.objects.filter(pk=lock_world.member.pk).update(role=Role.ORGANISATION_ADMIN)
    confirm(logged_in(second), binding)
    binding.refresh_from_db()
    assert binding.awaits == "administrator"
    assert Browser().log_in(lock).status_code != 200


def test_whoever_guesses_at_bindings_to_confirm_is_slowed_down(lock_world, settings):
    settings.CALOCK = replace(settings.CALOCK, failures_per_minute=2)
    browser = logged_in(lock_world.colleague)
    assert [confirm(browser, Binding()) for _ in range(3)] == [404, 404, 429]


def test_the_strictest_site_on_which_the_lock_logs_in_decides_wherever_it_is_bound(lock_world, monkeypatch):
    """An administrator does not choose the site whose profile asks for less: the lock opens the account on both."""
    lock = make_lock("EC")
    given = sites()
    members = msgspec.structs.replace(given["zcy"].members, bind_for_member="member")
    monkeypatch.setattr(consent, "sites", lambda: {**given, "zcy": msgspec.structs.replace(given["zcy"], members=members)})
    bind_for(lock_world, make_lock())
    assert Binding.objects.get().awaits == ""
    install(replace(family("EC"), provider="zcy-lianxi"), sites=["zcy"])
    assert logged_in(lock_world.admin).bind(lock, lock_world.colleague).status_code == 200
    assert Binding.objects.get(account=lock_world.colleague).awaits == "member"
    refusal_row(Browser().log_in(lock), "LOCK_NOT_CONFIRMED")
