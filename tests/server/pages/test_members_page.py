"""人员管理: an administrator helps the ordinary members of the own organisation, and nobody else's (P69)."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import HOSTS, page_client
from worlds.manual import World
from worlds.page import read
from worlds.rows import rewrite

from calock.server.accounts.models import Account, AccountState, PasswordCode, Role
from calock.server.audit.models import AuditEvent
from calock.server.sessions.models import Session

MEMBERS = "/system/members/"
CODE = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}")


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_the_menu_shows_it_to_administrators_alone(world: World, site: str):
    assert MEMBERS in read(page_client(site, world.admin), "/system/").links
    for other in (world.member,):
        assert MEMBERS not in read(page_client(site, other), "/system/").links
        assert page_client(site, other).get(MEMBERS).status_code == 404
        assert page_client(site, other).post(MEMBERS, {"username": "neu", "name": "新"}).status_code == 404


def test_the_list_holds_the_own_organisation(world: World):
    text = read(page_client("shanxi", world.admin), MEMBERS).text
    assert "李明" in text
    assert "cssbjgys03" in text
    assert "俞海琴" not in text
    assert "没有符合条件的人员" in read(page_client("shanxi", world.admin), f"{MEMBERS}?q=俞").text


def test_a_new_person_gets_a_code_that_is_shown_once(world: World):
    client = page_client("shanxi", world.admin)
    answer = client.post(MEMBERS, {"username": "wangwu", "name": "王五"})
    code = CODE.search(answer.content.decode())
    made = Account.objects.get(username="wangwu")
    assert code
    assert (made.role, made.organisation, made.has_usable_password()) == (Role.MEMBER, world.supplier, False)
    assert f"http://{HOSTS['shanxi']}/password/code/?account=wangwu#{code[0]}" in answer.content.decode()
    assert "待设置密码" in read(client, MEMBERS).text
    row = AuditEvent.objects.get(event="account:created")
    assert (row.actor, row.subject, row.organisation) == (world.admin.pk, made.pk, world.supplier.pk)
    again = client.post(MEMBERS, {"username": "wangwu", "name": "王五"})
    assert (again.status_code, "该账户名已存在" in again.content.decode()) == (400, True)
    assert 'value="王五"' in again.content.decode()


@pytest.mark.parametrize("more", [{"role": "operator"}, {"role": "organisation_admin"}, {"organisation": "x"}])
def test_no_field_of_the_form_makes_more_than_a_member(world: World, more: dict[str, str]):
    page_client("shanxi", world.admin).post(MEMBERS, {"username": "wangwu", "name": "王五", **more})
    made = Account.objects.get(username="wangwu")
    assert (made.role, made.organisation) == (Role.MEMBER, world.supplier)


def test_disabling_renaming_and_resetting(world: World):
    client, address = page_client("shanxi", world.admin), f"{MEMBERS}{world.member.pk}/"
    assert client.post(address, {"step": "disable"})["Location"] == f"{MEMBERS}?done=disable"
    assert "账户已停用" in read(client, f"{MEMBERS}?done=disable").text
    assert Account.objects.get(pk=world.member.pk).state == AccountState.DISABLED
    client.post(address, {"step": "enable"})
    assert Account.objects.get(pk=world.member.pk).is_active
    client.post(address, {"step": "rename", "name": "李鸣"})
    assert Account.objects.get(pk=world.member.pk).name == "李鸣"
    assert CODE.search(client.post(address, {"step": "reset"}).content.decode())
    assert PasswordCode.objects.get().created_by == world.admin
    assert "李鸣" not in repr(list(AuditEvent.objects.values()))
    assert client.post(address, {"step": "promote"}).status_code == 400


def test_other_accounts_are_not_there(world: World):
    peer = Account.objects.create_account(
        username="guanli9", name="另一管理员", role=Role.ORGANISATION_ADMIN, organisation=world.supplier
    )
    client = page_client("shanxi", world.admin)
    for other in (world.zcy_admin, world.operator, peer, world.admin):
        before = Account.objects.filter(pk=other.pk).values().get()
        for step in ("disable", "reset", "rename"):
            assert client.post(f"{MEMBERS}{other.pk}/", {"step": step, "name": "x"}).status_code == 404
        assert Account.objects.filter(pk=other.pk).values().get() == before


def test_an_old_proof_is_asked_for_again_first(world: World):
    client = page_client("shanxi", world.admin)
    old = timezone.now() - timedelta(minutes=6)
    rewrite(*Session.objects.all(), authenticated_at=old, password_proved_at=old)
    for address, form in ((MEMBERS, {"username": "wangwu", "name": "王五"}), (f"{MEMBERS}{world.member.pk}/", {"step": "disable"})):
        assert client.post(address, form)["Location"] == "/confirm/?next=%2Fsystem%2Fmembers%2F"
    assert not Account.objects.filter(username="wangwu").exists()
    assert Account.objects.get(pk=world.member.pk).is_active
