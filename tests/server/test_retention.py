"""Rows that have served are deleted after their days, and evidence is not."""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from worlds.browser import bound, context, session_of
from worlds.practice import make_lock
from worlds.rows import account, operator

from calock.server.accounts.codes import issue_code
from calock.server.accounts.models import PasswordCode
from calock.server.audit.canonical import new_number
from calock.server.imports.columns import ImportKind
from calock.server.imports.models import ImportPart, ImportRun
from calock.server.imports.runs import discard, upload
from calock.server.jobs import retention
from calock.server.locks.models import Binding
from calock.server.notices.models import Notice, NoticeKind
from calock.server.process.config import ConfigError, read_config
from calock.server.receipts.models import Receipt
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def notice(of, dismissed) -> Notice:
    return Notice.objects.create(
        account=of, kind=NoticeKind.MOVED, facts={}, created_at=timezone.now(), dismissed_at=dismissed
    )  # fmt: skip


def test_what_has_served_goes_after_its_days_and_everything_else_stays(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    now, member, by = timezone.now(), account("zhangsan", "张三"), operator("jia")
    old = [session_of(member, context(at=now - 402 * DAY))[0] for _ in range(5)]
    young = session_of(member, context(at=now - 399 * DAY))[0]
    notice(member, now - 401 * DAY)
    told = [notice(member, None), notice(member, now - 399 * DAY)]
    run = upload(kind=ImportKind.ACCOUNTS, name="a.csv", content="账户,姓名\nneu,新\n".encode(), by=by, context=context())
    discard(run=run, by=by, context=context(at=now - 91 * DAY))
    waiting = upload(kind=ImportKind.ACCOUNTS, name="b.csv", content="账户,姓名\nneu,新\n".encode(), by=by, context=context())
    issue_code(member, by=by, at=now - 40 * DAY)
    assert retention.let_go(at=now) == len(old) + 1 + 1 + 1
    assert set(Session.objects.all()) == {young}
    assert set(Notice.objects.all()) == set(told)
    assert ImportRun.objects.get() == waiting
    assert ImportPart.objects.count() == 1
    assert not PasswordCode.objects.exists()
    assert retention.let_go(at=now) == 0


def receipt(purpose, at, binding=None):
    return Receipt.objects.create(
        number=new_number(at), purpose=purpose, account=uuid.uuid4(), binding=binding, at=at, sealed=b"x"
    )  # fmt: skip


def test_receipts_go_after_decades_and_those_of_a_binding_not_before_it_has_ended_so_long(lock_world):
    now, many, few = timezone.now(), 7306 * DAY, 7304 * DAY
    ended, live = (bound(make_lock("EC", number=number), lock_world.member) for number in (1, 2))
    Binding.objects.filter(pk=ended.pk).update(unbound_at=now - many)
    Receipt.objects.all().delete()
    gone = [receipt("login", now - many), receipt("stepup", now - many), receipt("bind", now - 9000 * DAY, ended.pk)]
    kept = [receipt("login", now - few), receipt("unbind", now - few, ended.pk), receipt("bind", now - 9000 * DAY, live.pk)]
    assert retention.let_go(at=now) == len(gone)
    assert set(Receipt.objects.all()) == set(kept)


def test_old_receipts_are_found_without_reading_all_of_them(monkeypatch):
    plans = []

    def explained(rows):
        if rows.model is Receipt:
            plans.append(rows.order_by().explain())
        return 0

    monkeypatch.setattr(retention, "_delete", explained)
    if connection.vendor == "postgresql":
        connection.cursor().execute("SET LOCAL enable_seqscan = off")  # which it prefers in a table of no rows
    assert retention.let_go(at=timezone.now()) == 0
    assert len(plans) == 2
    for plan in plans:
        assert re.search(r"receipts_receipt.*\(?number<\?|receipts_receipt_pkey|receipts_of_binding", plan), plan


@pytest.mark.parametrize(
    ("name", "days"),
    [("AUDIT", "179"), ("SESSIONS", "0"), ("NOTICES", "x"), ("BINDING_RECEIPTS", "1825")],
)
def test_a_retention_below_its_floor_stops_the_start(name, days, monkeypatch, tmp_path):
    monkeypatch.setenv("CALOCK_DATA", str(tmp_path))
    monkeypatch.setenv("CALOCK_SECRET_KEY", secrets.token_hex(32))
    monkeypatch.setenv("CALOCK_KEEP_AUDIT_DAYS", "180")
    assert read_config().keep.audit == 180
    monkeypatch.setenv(f"CALOCK_KEEP_{name}_DAYS", days)
    with pytest.raises(ConfigError, match=f"CALOCK_KEEP_{name}_DAYS must be a number from"):
        read_config()
