"""The CA list: who sees which rows, status words, search, history, details."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import page_client
from worlds.manual import World, bind
from worlds.page import read
from worlds.practice import make_lock

from calock.core.certificates.certificate import Certificate
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import LockCertificate
from calock.server.portal.rows import shorten
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session
from calock.server.sessions.services import STEP_UP
from calock.server.tools import clock

LIST = "/system/ca/"


def test_an_administrator_sees_his_organisation_a_member_himself(world: World):
    everyone = read(page_client("shanxi", world.admin), LIST).text
    assert "姓名: 测试供应商管理员" in everyone
    assert "姓名: 李明" in everyone
    assert "俞海琴" not in everyone
    own = read(page_client("shanxi", world.member), LIST)
    rows = [row["data-binding"] for row in own.all("tr") if "data-binding" in row]
    assert rows == [str(world.bindings["member"].pk)]
    assert [
        option["value"] for option in own.all("option") if option.get("value") in {str(world.admin.pk), str(world.member.pk)}
    ] == [str(world.member.pk)]


@pytest.mark.parametrize("who", ["member", "zcy_admin", "operator"])
def test_a_guessed_id_shows_nothing_of_others(world: World, who: str):
    client = page_client("shanxi", getattr(world, who))
    page = read(client, f"/system/ca/{world.bindings['first'].pk}/", 404)
    assert "7201300001812001" not in page.html
    assert "没有找到该绑定记录" in page.text


def test_details_show_the_whole_lock_id_and_the_holder_masked(world: World):
    text = read(page_client("shanxi", world.admin), f"/system/ca/{world.bindings['first'].pk}/").text
    assert "7201300001812001" in text
    assert "9114************" in text
    assert "已过期" in text


def _certificate_of(world: World, name: str) -> tuple[str, Certificate]:
    """Put a real certificate on a binding's lock; returns the address of its file."""
    binding = world.bindings[name]
    certificate = Certificate.parse(make_lock().certificate)
    row = binding.lock.certificates.get()
    row.cert_sha256, row.serial = certificate.sha256, certificate.serial_hex
    row.der = certificate.der
    row.save()
    return f"/system/ca/{binding.pk}/certificate/", certificate


@pytest.mark.parametrize("who", ["member", "admin"])
def test_the_holder_and_their_administrator_take_the_certificate_which_is_written_down(world: World, who: str):
    address, certificate = _certificate_of(world, "member")
    account = getattr(world, who)
    client = page_client("shanxi", account)
    assert address in client.get(f"/system/ca/{world.bindings['member'].pk}/").content.decode()
    answer = client.get(address)
    assert answer.content == certificate.der
    assert answer["Content-Type"] == "application/pkix-cert"
    assert answer["Content-Disposition"].endswith('.cer"')
    assert "no-store" in answer["Cache-Control"]
    row = AuditEvent.objects.get(event="binding:certificate:downloaded")
    assert (row.actor, row.subject, row.lock) == (account.pk, world.member.pk, world.bindings["member"].lock_id)
    assert row.details["certificate"] == certificate.sha256


@pytest.mark.parametrize(("whose", "who"), [("first", "member"), ("member", "zcy_admin"), ("member", "operator")])
def test_nobody_else_takes_a_certificate(world: World, whose: str, who: str):
    address, _certificate = _certificate_of(world, whose)
    assert page_client("shanxi", getattr(world, who)).get(address).status_code == 404
    assert not AuditEvent.objects.filter(event="binding:certificate:downloaded").exists()


def test_a_certificate_is_for_who_just_proved_themselves(world: World):
    address, _certificate = _certificate_of(world, "member")
    client = page_client("shanxi", world.member)
    Session.objects.update(authenticated_at=clock.now() - STEP_UP - timedelta(seconds=1))
    answer = client.get(address)
    assert answer.status_code == 302
    assert "confirm" in answer["Location"]
    assert not AuditEvent.objects.filter(event="binding:certificate:downloaded").exists()


def test_a_lock_without_a_certificate_has_no_file(world: World):
    binding = next(binding for binding in world.bindings.values() if not binding.lock.certificates.exists())
    client = page_client("shanxi", binding.account)
    assert "certificate/" not in client.get(f"/system/ca/{binding.pk}/").content.decode()
    assert client.get(f"/system/ca/{binding.pk}/certificate/").status_code == 404


def _status(world: World, **changes: object) -> str:
    LockCertificate.objects.filter(lock=world.bindings["member"].lock).update(**changes)
    page = read(page_client("shanxi", world.member), LIST)
    return page.text


NOW = timezone.now()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"not_after": NOW + timedelta(days=300)}, "正常"),
        ({"not_after": NOW + timedelta(days=29)}, "即将到期"),
        ({"not_after": NOW - timedelta(days=1)}, "已过期"),
        ({"not_before": NOW + timedelta(days=5), "not_after": NOW + timedelta(days=300)}, "未生效"),
        ({"revoked_at": NOW}, "已吊销"),
    ],
)
def test_status_is_computed(world: World, changes: dict[str, object], word: str):
    assert word in _status(world, **changes)


def test_a_suspended_provider_shows_on_its_rows(world: World):
    Provider.objects.filter(code="shanxi-huren").update(state="suspended")
    assert "不受信任" in read(page_client("shanxi", world.member), LIST).text


def test_a_lock_imported_without_certificate_is_unknown_not_broken(world: World):
    page = read(page_client("zcy", world.zcy_admin), LIST)
    assert "未知" in page.text
    assert "3301000045102206" in page.text
    assert "未知" in read(page_client("zcy", world.zcy_admin), f"/system/ca/{world.bindings['imported'].pk}/").text
    assert read(page_client("zcy", world.zcy_admin), "/user-center/").text


@pytest.mark.parametrize(
    ("words", "rows"),
    [("李明", 1), ("cssbjgys02", 2), ("7201300001813344", 1), ("天谷", 1), ("没有的", 0), ("%", 0), ("'; --", 0), ("\0", 3)],
)
def test_search_finds_by_name_account_lock_and_provider(world: World, words: str, rows: int):
    response = page_client("shanxi", world.admin).get(LIST, {"q": words})
    assert response.status_code == 200
    assert response.content.decode().count("data-binding=") == rows


def test_ended_bindings_stay_in_the_history(world: World):
    ended = world.bindings["first"]
    ended.unbound_at, ended.unbound_by, ended.reason = timezone.now(), world.admin, "更换 CA 锁"
    ended.save()
    client = page_client("shanxi", world.admin)
    assert str(ended.pk) not in read(client, LIST).html
    history = read(client, f"{LIST}?state=ended")
    assert str(ended.pk) in history.html
    assert f'data-end="{ended.pk}"' not in history.html
    assert "更换 CA 锁" in read(client, f"{LIST}{ended.pk}/").text


def test_long_lists_come_in_pages_numbered_through(world: World):
    huren = Provider.objects.get(code="shanxi-huren")
    for number in range(12):
        bind(huren, f"73013000018{number:05d}", "测试", NOW + timedelta(days=90), world.admin, by=world.admin, at=NOW)
    client = page_client("shanxi", world.admin)
    assert read(client, LIST).html.count("data-binding=") == 10
    assert read(client, f"{LIST}?page=2").html.count("data-binding=") == 5
    for odd in ("0", "-1", "99", "x", "1e9"):
        assert client.get(LIST, {"page": odd}).status_code == 200


@pytest.mark.parametrize(("lock_id", "short"), [("7201300001812001", "7...2001"), ("12345678", "12345678"), ("7", "7")])
def test_lock_ids_are_shortened_as_printed(lock_id: str, short: str):
    assert shorten(lock_id) == short


def test_markup_in_names_stays_text(world: World):
    world.admin.name = '<script>alert(1)</script>"'
    world.admin.save()
    html = read(page_client("shanxi", world.admin), LIST).html
    assert "<script>alert(1)" not in html
