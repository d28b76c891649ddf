"""数据导入 in the console: uploaded, checked, decided by a second operator, written in the background, reported line by line."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone
from worlds.browser import console_client
from worlds.kept import kept
from worlds.register import make_world
from worlds.rows import USCC, account, supplier

from calock.server.accounts.foreign_passwords import Foreign
from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.imports import outcomes, runs
from calock.server.imports.columns import ImportKind
from calock.server.imports.models import ImportPart, ImportRun
from calock.server.imports.services import ImportList
from calock.server.locks.models import PendingBinding

pytestmark = pytest.mark.django_db
kept_world = kept(make_world)
HASH = "{SSHA}c2FsdHNhbHRzYWx0c2FsdHNhbHRzYWx0"
ID_NUMBER = "11010519491231002X"
"""GB 11643-1999, the standard's own example."""
LIST = f"账户,姓名,统一社会信用代码,密码哈希\nzhangsan,张三,{USCC},{HASH}\nlisi,李四,,\nx,短,,\n"


@pytest.fixture
def world(kept_world, db):
    supplier()
    return kept_world()


@pytest.fixture
def first(world):
    return console_client(world.first)


@pytest.fixture
def second(world):
    return console_client(world.second)


def upload(client, text: str = LIST, kind: str = "accounts", name: str = "人员.csv"):
    file = io.BytesIO(text.encode())
    file.name = name
    return client.post("/console/imports/upload/", {"kind": kind, "list": file}, follow=True)


def decide(client, step: str):
    approval = Approval.objects.get(state=ApprovalState.PENDING)
    form = {"step": step, "version": approval.version, "sha256": approval.sha256, "note": "不符"}
    return client.post(f"/console/approvals/{approval.pk}/", form, follow=True)


def propose(client) -> ImportRun:
    run = ImportRun.objects.get()
    client.post(f"/console/imports/{run.pk}/", {"step": "propose", "reason": "旧系统迁移"})
    return run


def test_a_list_goes_from_upload_to_result_by_two_operators(world, first, second):
    shown = upload(first).content.decode()
    for words in ("人员.csv", "张三", "账户须为 2 至 64 个", "提出导入，等待复核"):
        assert words in shown
    run = propose(first)
    assert not Account.objects.filter(username="zhangsan").exists()
    decide(first, "approve")
    assert ImportRun.objects.get().state == "proposed", "who proposes does not approve"
    read = second.get(f"/console/approvals/{Approval.objects.get().pk}/").content.decode()
    assert "1 行，不导入" in read
    assert run.sha256 in read
    decide(second, "approve")
    assert ImportRun.objects.get().state == "running"
    runs.carry_on()
    run.refresh_from_db()
    assert (run.state, run.written) == ("done", {"new": 2, "error": 1})
    assert AuditEvent.objects.filter(event=Event.ACCOUNT_CREATED, actor=world.second.pk).count() == 2
    finished = AuditEvent.objects.get(event=Event.IMPORT_FINISHED)
    assert (finished.subject, finished.details["new"]) == (run.pk, 2)
    page = first.get(f"/console/imports/{run.pk}/").content.decode()
    assert "导入结果" in page
    report = b"".join(first.get(f"/console/imports/{run.pk}/report/?format=csv").streaming_content).decode("utf-8-sig")
    assert report.splitlines()[1:3] == ["2,zhangsan,新增,张三", "3,lisi,新增,李四"]
    assert bytes(ImportPart.objects.get().sealed_lines) == b"", "hashes of passwords are not kept"


def test_what_was_uploaded_is_nowhere_in_clear(first):
    upload(first)
    part = ImportPart.objects.get()
    kept_octets = bytes(part.sealed_lines) + bytes(part.sealed_check)
    assert HASH.encode() not in kept_octets
    assert "张三".encode() not in kept_octets
    other = ImportRun.objects.get()
    other.pk = None
    other.save()
    part.run = other
    with pytest.raises(ValueError, match="changed, or encrypted"):
        part.opened("lines")


@pytest.mark.django_db(transaction=True)
def test_passwords_are_hashed_while_no_transaction_keeps_others_waiting(monkeypatch):
    world, mine, real = make_world(), connections["default"], Foreign.form
    first, second, seen = console_client(world.first), console_client(world.second), []

    def form(self):
        seen.append(mine.in_atomic_block)
        return real(self)

    monkeypatch.setattr(Foreign, "form", form)
    upload(first, f"账户,姓名,密码哈希\nzhangsan,张三,{HASH}\n")
    propose(first)
    decide(second, "approve")
    assert runs.carry_on() == 1
    list(ImportList(ImportKind.ACCOUNTS, f"账户,姓名,密码哈希\nlisi,李四,{HASH}\n".encode()).written(by=None))
    assert (seen, Account.objects.filter(username__in=("zhangsan", "lisi"), password__contains="argon2").count()) == (
        [False] * 2,
        2,
    )


def test_a_list_that_waits_goes_on_under_a_new_secret_when_the_former_one_is_gone(world, first, second, settings):
    upload(first)
    propose(first)
    decide(second, "approve")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "the next secret key of this server, long enough"
    made_anew = runs.rekey_lists()
    assert (made_anew.done, made_anew.failed) == (2, [])
    assert runs.rekey_lists().done == 0
    settings.SECRET_KEY_FALLBACKS = []
    runs.carry_on()
    run = ImportRun.objects.get()
    assert run.state == "done"
    assert [line[2] for line in runs.lines_of(run, "result")] == ["new", "new", "error"]


def test_a_list_that_was_broken_off_goes_on_at_the_part_where_it_stopped(world, first, second, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH", 1)
    upload(first)
    run = propose(first)
    decide(second, "approve")
    real, seen = runs.write_batch, []

    def breaks_off(kind, records, importing):
        seen.append(records[0].number)
        written = real(kind, records, importing)
        if len(seen) == 2:
            raise ConnectionError("the database is gone")
        return written

    monkeypatch.setattr(runs, "write_batch", breaks_off)
    with pytest.raises(ConnectionError):
        runs.carry_on()
    run.refresh_from_db()
    assert run.written == {"new": 1}
    assert set(Account.objects.filter(username__in=("zhangsan", "lisi")).values_list("username", flat=True)) == {"zhangsan"}
    runs.carry_on()
    run.refresh_from_db()
    assert (run.state, run.written, seen) == ("done", {"new": 2, "error": 1}, [2, 3, 3, 4])


def test_a_list_that_cannot_be_written_keeps_no_other_waiting_and_may_be_deleted(world, first, second, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH", 1)
    upload(first)
    stuck = propose(first)
    decide(second, "approve")
    first.post(f"/console/imports/{stuck.pk}/", {"step": "discard"})
    stuck.refresh_from_db()
    assert (stuck.state, stuck.written) == ("running", {}), "a list that goes on is not deleted, nor written by the try"
    ImportPart.objects.filter(run=stuck, number=1).update(sealed_lines=b"\0" * 64)
    upload(first, "账户,姓名\nwangwu,王五\n")
    other = ImportRun.objects.exclude(pk=stuck.pk).get()
    first.post(f"/console/imports/{other.pk}/", {"step": "propose", "reason": "旧系统迁移"})
    decide(second, "approve")
    with pytest.raises(ValueError, match="not encrypted"):
        runs.carry_on()
    other.refresh_from_db()
    assert other.state == "done"
    assert "只有导入无法继续时才能删除" in first.get(f"/console/imports/{stuck.pk}/").content.decode()
    first.post(f"/console/imports/{stuck.pk}/", {"step": "discard"})
    stuck.refresh_from_db()
    assert (stuck.state, stuck.written) == ("discarded", {"new": 1})
    assert AuditEvent.objects.get(event=Event.IMPORT_DISCARDED).subject == stuck.pk
    assert [part.number for part in stuck.parts.all()] == [0], "what was written stays reported"
    assert runs.carry_on() == 0


def test_a_rejected_list_may_be_proposed_again_and_one_that_nobody_decides_about_is_erased(first, second):
    upload(first)
    propose(first)
    decide(second, "reject")
    assert ImportRun.objects.get().state == "checked"
    propose(first)
    decide(first, "take_back")
    runs.carry_on()
    assert ImportPart.objects.count() == 1
    ImportRun.objects.update(uploaded_at=timezone.now() - timedelta(days=8))
    runs.carry_on()
    assert ImportRun.objects.get().state == "discarded"
    assert not ImportPart.objects.exists()


def test_a_list_of_many_lines_is_checked_in_the_background(first, monkeypatch):
    monkeypatch.setattr(runs, "AT_ONCE", 2)
    assert "正在预检" in upload(first).content.decode()
    runs.carry_on()
    assert ImportRun.objects.get().checked == {"new": 2, "error": 1}


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (LIST, "nichts", "请选择内容和文件"),
        ("账户,姓名\n", "accounts", "列名之下没有数据"),
        (LIST, "organisations", "没有名为“账户”的列"),
        ("\x00\x01", "accounts", "未执行"),
    ],
)
def test_what_is_no_list_is_said_on_the_page_and_nothing_is_kept(first, text, kind, words):
    assert words in upload(first, text, kind).content.decode()
    assert not ImportRun.objects.exists()


def test_names_of_files_and_cells_are_shown_as_text(first):
    shown = upload(first, "账户,姓名\nneu,<b>x</b>\n", name="<script>.csv").content.decode()
    assert "<b>x" not in shown
    assert "<script>.csv" not in shown


def test_a_list_without_anything_to_do_is_not_proposed(first):
    assert "没有可导入的行；有错误的，修改文件后重新上传" in upload(first, "账户,姓名\nx,y\n").content.decode()
    propose(first)
    assert not Approval.objects.exists()


def test_lines_that_name_one_lock_in_different_words_are_errors_and_the_others_are_taken(world, first, second):
    account("zhangsan", "张三")
    locks = ((world.provider.code, "A-1"), (world.provider.name, "A-1"), (world.provider.code, "B-1"))
    upload(first, "账户,CA 服务商,CA锁ID\n" + "".join(f"zhangsan,{name},{lock}\n" for name, lock in locks), "bindings")
    run = propose(first)
    assert [line[2:] for line in runs.lines_of(run, "check")][:2] == [("error", "CA锁ID重复：第 2、3 行")] * 2
    decide(second, "approve")
    runs.carry_on()
    run.refresh_from_db()
    assert (run.state, run.written) == ("done", {"new": 1, "error": 2})
    assert PendingBinding.objects.get().lock_id == "B-1"


def test_an_id_number_inside_a_lock_id_is_in_no_report(world, first, second):
    account("zhangsan", "张三")
    lines = ("zhangsan", world.provider.code), ("nobody", world.provider.code), ("zhangsan", ID_NUMBER)
    text = "".join(f"{name},{provider},SF{number}-{ID_NUMBER}\n" for number, (name, provider) in enumerate(lines))
    upload(first, f"账户,CA 服务商,CA锁ID\n{text}zhangsan,,{ID_NUMBER}\n", "bindings")
    run = propose(first)
    assert run.checked == {"new": 1, "error": 3}
    for state in ("proposed", "done"):
        assert ImportRun.objects.get().state == state
        page = first.get(f"/console/imports/{run.pk}/").content.decode()
        answer = first.get(f"/console/imports/{run.pk}/report/?format=csv")
        told = b"".join(answer.streaming_content).decode("utf-8-sig")
        for shown in (page, told):
            assert ID_NUMBER not in shown
            assert f"SF0-**************{ID_NUMBER[-4:]}" in shown
        if state == "proposed":
            decide(second, "approve")
            runs.carry_on()
    assert ID_NUMBER not in PendingBinding.objects.get().lock_id
