"""个人信息: a person sees and takes along what is kept about them; two operators erase it as far as evidence lets them."""

from __future__ import annotations

import io
from datetime import timedelta

import openpyxl
import pytest
from django.utils import timezone
from worlds.browser import bound, console_client, context, page_client, session_of
from worlds.practice import make_lock
from worlds.rows import PASSWORD, account, operator

from calock.core.refusals import Refusal
from calock.server.accounts.members import write_account_state
from calock.server.accounts.models import Account, AccountState
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.verification import verify_audit
from calock.server.locks.models import Binding, KnownDriver, LockCertificate
from calock.server.notices.models import Notice, NoticeKind
from calock.server.notices.services import notify, notify_all
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def person(lock_world):
    member = lock_world.member
    member.external_id = "E-4711"
    member.set_password(PASSWORD)
    member.save()
    bound(make_lock(), member)
    bound(make_lock(number=1, lock_id="SX-0002"), lock_world.colleague)
    Notice.objects.create(account=member, kind=NoticeKind.MOVED, facts={"value": "别家"}, created_at=timezone.now())
    return member


def test_a_person_reads_and_takes_along_everything_about_themselves_and_nothing_of_others(lock_world, person):
    client = page_client("shanxi", person)
    shown = client.get("/personal-data/").content.decode()
    for words in ("张三", "zhangsan", "E-4711", "SX-0001", "转入“别家”", "绑定 CA 锁", "审计记录"):
        assert words in shown
    assert "SX-0002" not in shown
    told = client.get("/personal-data/download/?format=json").json()
    assert told["账户资料"][0] == {"项目": "账户", "内容": "zhangsan"}
    assert [row["CA锁ID"] for row in told["CA 锁绑定"]] == ["SX-0001"]
    assert "李四" not in str(told)
    assert told["登录会话"][0]["结束时间"] == "", "this session goes on"
    octets = b"".join(client.get("/personal-data/download/?format=xlsx").streaming_content)
    cells = [row[0] for row in openpyxl.load_workbook(io.BytesIO(octets), read_only=True).active.iter_rows(values_only=True)]
    assert {"账户资料", "CA 锁绑定", "登录会话", "审计记录"} <= set(cells)
    assert AuditEvent.objects.filter(event=Event.PERSONAL_DATA_EXPORTED, actor=person.pk).count() == 2
    assert "Everything that the platform keeps about you" in page_client("zcy", person, english=True).get(
        "/personal-data/"
    ).content.decode()  # fmt: skip


def test_where_others_acted_from_is_not_told(lock_world, person):
    other = context(account=lock_world.admin, ip="198.51.100.99")
    write_account_state(member=person, state=AccountState.ACTIVE, by=lock_world.admin, context=other)
    assert "198.51.100.99" not in page_client("shanxi", person).get("/personal-data/").content.decode()


def test_a_copy_is_for_whoever_proved_lately_who_they_are(person):
    client = page_client("shanxi", person)
    Session.objects.filter(account=person).update(authenticated_at=timezone.now() - timedelta(minutes=6))
    answer = client.get("/personal-data/download/?format=json")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/confirm/")
    assert client.get("/personal-data/").status_code == 200
    assert page_client("shanxi").get("/personal-data/download/?format=json")["Location"].startswith("/login/")


@pytest.fixture
def operators(db):
    return operator("jia"), operator("yi")


def erase(operators, person) -> None:
    page = f"/console/accounts/account/{person.pk}/change/"
    console_client(operators[0]).post(page, {"step": "erase", "reason": "本人书面申请"})
    approval = Approval.objects.filter(state="pending").first()
    if approval is not None:
        form = {"step": "approve", "version": approval.version, "sha256": approval.sha256}
        console_client(operators[1]).post(f"/console/approvals/{approval.pk}/", form)


def test_an_erased_person_is_gone_from_every_table_but_the_evidence_stays_whole(lock_world, person, operators):
    session_of(person, context(ip="203.0.113.9"))
    namesake = account("zhangsan2", person.name, organisation=person.organisation)
    row = AuditEvent.objects.last()
    for by in (person, namesake):
        notify(NoticeKind.MOVED, account=lock_world.colleague.pk, by=by, row=row, value="别家")
    notify_all(NoticeKind.LOCK_CLAIMED, [(lock_world.colleague.pk, row, {"lock": "SX-0002"})], by=person)
    KnownDriver.objects.create(account=person, key_sha256="5" * 64, site="shanxi", first_seen_at=timezone.now())
    assert "5" * 64 in page_client("shanxi", person).get("/personal-data/").content.decode()
    Binding.objects.filter(account=person).update(unbound_at=timezone.now(), unbound_by=person)
    write_account_state(member=person, state=AccountState.DISABLED, by=lock_world.admin, context=context())
    rows = dict(AuditEvent.objects.values_list("pk", "mac"))
    erase(operators, person)
    person.refresh_from_db()
    assert person.username.startswith("erased-")
    assert (person.name, person.external_id, person.state) == ("已注销用户", "", "erased")
    assert not person.has_usable_password()
    assert set(Session.objects.filter(account=person).values_list("ip", "user_agent")) == {(None, "")}
    assert not Notice.objects.filter(account=person).exists()
    assert not KnownDriver.objects.filter(account=person).exists()
    told = Notice.objects.filter(account=lock_world.colleague).values_list("kind", "facts__by", "facts__by_name")
    assert {
        ("moved", str(person.pk), "已注销用户"), ("moved", str(namesake.pk), "张三"), ("lock_claimed", str(person.pk), "已注销用户")
    } <= set(told)  # fmt: skip
    assert (
        Binding.objects.filter(account=person).count()
        == LockCertificate.objects.filter(lock__bindings__account=person).count()
        == 1
    )
    assert dict(AuditEvent.objects.filter(pk__in=rows).values_list("pk", "mac")) == rows
    assert verify_audit().findings == []
    row = AuditEvent.objects.get(event=Event.ACCOUNT_ERASED)
    assert (row.actor, row.subject) == (operators[1].pk, person.pk)
    with pytest.raises(Refusal, match="已注销"):
        write_account_state(member=person, state=AccountState.ACTIVE, by=operators[0], context=context())


@pytest.mark.parametrize("what", ["active", "bound", "operator"])
def test_nobody_is_erased_who_can_still_do_something(lock_world, person, operators, what):
    if what == "bound":
        write_account_state(member=person, state=AccountState.DISABLED, by=lock_world.admin, context=context())
    erase(operators, lock_world.operator if what == "operator" else person)
    assert not Approval.objects.exists()
    assert not Account.objects.filter(state="erased").exists()
