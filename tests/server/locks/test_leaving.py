"""离职: the administrator ends everything of a member in one act, and nobody else does; the way back begins without locks."""

from __future__ import annotations

import pytest
from worlds.browser import Browser, bound, context, logged_in, refusal_row
from worlds.practice import NOW, ORIGIN, make_lock
from worlds.rows import PASSWORD, lock_row

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.calendar_links import account_of, make_link
from calock.server.accounts.models import Account, AccountState
from calock.server.audit.models import AuditEvent
from calock.server.locks import leaving, services
from calock.server.locks.leaving import leave
from calock.server.locks.models import Binding, PendingBinding
from calock.server.locks.step_up import Evidence
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def member(lock_world) -> Account:
    """With a lock in use, another one, a claim of a list and a calendar link; the administrator has a password."""
    lock_world.admin.set_password(PASSWORD)
    lock_world.admin.save()
    member = lock_world.member
    bound(make_lock(), member)
    provider = Binding.objects.get().lock.provider
    spare = lock_row(provider, "SX-0002", provider.ca_records.get(anchor=False))
    Binding.objects.create(lock=spare, account=member, bound_by=member, bound_at=NOW, site="shanxi", suspended_at=NOW)
    PendingBinding.objects.create(account=member, provider=provider, lock_id="SX-0003", imported_at=NOW)
    return member


def post(by: Browser, member: Account, **form: str):
    return by.client.post(f"/system/members/{member.pk}/leave/", {"reason": "合同到期", **form}, headers={"origin": ORIGIN})


def test_one_act_ends_sessions_bindings_claims_and_link_and_tells_the_person(lock_world, member):
    theirs, token = Browser(), make_link(account=member, context=context(account=member))
    assert theirs.log_in(make_lock()).status_code == 200
    admin = logged_in(lock_world.admin)
    page = admin.client.get(f"/system/members/{member.pk}/leave/").content.decode()
    for part in ("SX-0001", "SX-0002", "待激活", "结束其登录会话", "须重新绑定"):
        assert part in page
    assert post(admin, member, password=PASSWORD)["Location"] == "/system/members/?done=leave"
    assert Account.objects.get(pk=member.pk).state == AccountState.DISABLED
    assert not Binding.objects.live().exists()
    assert {(row.reason, row.unbound_by) for row in Binding.objects.all()} == {("离职：合同到期", lock_world.admin)}
    assert not PendingBinding.objects.exists()
    assert not Session.objects.filter(account=member, ended_at=None).exists()
    assert theirs.client.get("/sessions/").status_code == 302
    refusal_row(Browser().log_in(make_lock()), "LOCK_NOT_BOUND")
    with pytest.raises(Refusal, match="no calendar link"):
        account_of(token, context=context())
    row = AuditEvent.objects.get(event="account:left")
    assert (row.actor, row.subject, row.details["bindings"]) == (lock_world.admin.pk, member.pk, 2)
    told = words_of(Notice.objects.get(account=member, created_at__gte=row.at)).text  # one act, one notice
    assert told.partition("：")[2].startswith("账户已停用，2 把 CA 锁已解除绑定。重新启用后，CA 锁须重新绑定。如")


def test_whoever_comes_back_is_enabled_and_binds_anew(lock_world, member):
    admin = logged_in(lock_world.admin)
    post(admin, member, password=PASSWORD)
    enabled = admin.client.post(f"/system/members/{member.pk}/", {"step": "enable"}, headers={"origin": ORIGIN})
    assert (
        "账户已启用，没有绑定的 CA 锁：请本人用密码登录后重新绑定。"
        in admin.client.get(enabled.headers["Location"]).content.decode()
    )
    back = Account.objects.get(pk=member.pk)
    assert back.is_active
    refusal_row(Browser().log_in(make_lock()), "LOCK_NOT_BOUND")
    bound(make_lock(), back)
    assert Browser().log_in(make_lock()).status_code == 200


def test_nobody_but_the_own_administrator_with_a_proof_and_a_reason_does_it(lock_world, member):
    for other in (lock_world.colleague, lock_world.outside_admin, lock_world.operator, member):
        by = logged_in(other)
        assert by.client.get(f"/system/members/{member.pk}/leave/").status_code in (302, 404)
        with pytest.raises(Refusal) as told:
            leave(member=member, reason="x", evidence=Evidence(password=PASSWORD), by=other, context=context(account=other))
        assert told.value.reason == Reason.NOT_FOUND
    admin = logged_in(lock_world.admin)
    assert post(admin, lock_world.admin, password=PASSWORD).status_code == 404
    assert post(admin, member)["Location"].startswith("/confirm/")
    assert post(admin, member, password="falsch").status_code == 403
    assert post(admin, member, password=PASSWORD, reason=" ").status_code == 400
    assert Binding.objects.live().count() == 2
    assert Account.objects.get(pk=member.pk).is_active
    assert AuditEvent.objects.filter(event="account:leave_refused").count() >= 6


@pytest.mark.parametrize("binder", ["member", "admin"])
def test_a_lock_that_is_being_bound_meanwhile_is_not_left_behind(lock_world, monkeypatch, binder):
    lock_world.admin.set_password(PASSWORD)
    lock_world.admin.save()
    member, by, judge = lock_world.member, logged_in(getattr(lock_world, binder)), services.require_not_revoked

    def leaves_first(*args: str) -> None:
        monkeypatch.setattr(services, "require_not_revoked", judge)
        made = context(account=lock_world.admin)
        leave(member=member, reason="x", evidence=Evidence(password=PASSWORD), by=lock_world.admin, context=made)

    monkeypatch.setattr(services, "require_not_revoked", leaves_first)
    refusal_row(by.bind(make_lock(), member), "NOT_FOUND")
    assert not Binding.objects.live().exists()
    bound(make_lock(), lock_world.colleague)


def test_it_happens_whole_or_not_at_all(lock_world, member, monkeypatch):
    def broken(**_):
        raise Refusal(Reason.SERVER_BUSY, "in the middle")

    monkeypatch.setattr(leaving, "write_account_state", broken)
    assert post(logged_in(lock_world.admin), member, password=PASSWORD).status_code == 503
    assert Binding.objects.live().count() == 2
    assert PendingBinding.objects.count() == 1
    assert not Notice.objects.filter(account=member, kind__in=("left", "lock_unbound")).exists()
