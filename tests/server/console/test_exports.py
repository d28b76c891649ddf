"""Lists as files: what the page shows, all of it, and nothing that a spreadsheet would run (P43)."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from urllib.parse import urlencode

import pytest
from worlds.browser import console_client

from calock.server.accounts.models import Account
from calock.server.audit.models import AuditEvent
from calock.server.organisations.models import Organisation
from calock.server.web import exports

pytestmark = pytest.mark.django_db

EVIL = (
    '=HYPERLINK("http://evil.example")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM(A1)",
    "\n=1",
)


def table(browser, address: str) -> list[list[str]]:
    answer = browser.get(address)
    assert answer.status_code == 200
    assert re.search(r'attachment; filename\*=utf-8\'\'.*\.csv"?$', answer["Content-Disposition"])
    data = b"".join(answer.streaming_content)
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_a_list_has_its_columns_its_filters_and_its_words(world, first, member):
    rows = table(first, "/console/accounts/account/export/?format=csv&role=member")
    assert rows[0] == ["账户", "姓名", "单位", "角色", "状态", "绑定中的锁", "创建时间"]
    assert [row[:6] for row in rows[1:]] == [["cssbjgys02", "张*", "测试供应商", "普通成员", "正常", "0"]]
    assert table(first, "/console/accounts/account/export/?format=csv&q=niemand")[1:] == []


def test_no_cell_is_a_formula(world, first):
    for number, name in enumerate(EVIL):
        Organisation.objects.create(kind="supplier", name=name, uscc=f"9114000000000000{number:02}")
    cells = [row[0] for row in table(first, "/console/organisations/organisation/export/?format=csv")[1:]]
    assert len(cells) == len(EVIL)
    assert all(cell.startswith("'") for cell in cells)
    book = b"".join(first.get("/console/organisations/organisation/export/?format=xlsx").streaming_content)
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        assert not [name for name in parts.namelist() if "rels" in name and b"evil.example" in parts.read(name)]
    assert "<f>" not in sheet
    assert "=HYPERLINK" in sheet


def test_the_whole_list_is_exported_from_whichever_page_and_one_that_is_gone(world, first, member):
    for number in range(60):
        Organisation.objects.create(kind="supplier", name=f"单位{number}", uscc=f"9114000000000000{number:02}")
    for page in ("2", "99", "-1", "x"):
        assert len(table(first, f"/console/organisations/organisation/export/?format=csv&p={page}")) > 60


def test_the_trail_says_who_exported_what(world, first, member):
    table(first, "/console/accounts/account/export/?format=csv&role=member")
    row = AuditEvent.objects.get(event="console:list:exported")
    assert (row.actor, row.details) == (
        world.first.pk, {"list": "account", "format": "csv", "rows": 1, "query": "role=member"}
    )  # fmt: skip


def test_a_name_that_was_searched_for_stands_in_no_row_of_the_trail(world, first, member):
    assert table(first, "/console/accounts/account/export/?format=csv&q=张三&role=member")[1][0] == "cssbjgys02"
    assert AuditEvent.objects.get(event="console:list:exported").details["query"] == urlencode({"q": "张*", "role": "member"})


def test_the_trail_is_exported_with_its_codes_and_details(world, first, member):
    first.post(f"/console/accounts/account/{member.pk}/change/", {"step": "disable"})
    rows = table(first, "/console/audit/auditevent/export/?format=csv&about=account")
    found = dict(zip(rows[0], rows[1], strict=True))
    assert (found["事件"], found["事件代码"], found["操作人"]) == ("停用账户", "account:disabled", "运*（jia）")


def test_a_file_holds_a_bounded_number_of_rows(world, first, monkeypatch):
    for number in range(5):
        Account.objects.create_account(username=f"viele{number}", name="多")
    monkeypatch.setattr(exports, "MAX_ROWS", 3)
    assert len(table(first, "/console/accounts/account/export/?format=csv")) == 1 + 3


@pytest.mark.parametrize("query", ["", "?format=", "?format=exe", "?format=csv&password__regex=a", "?format=csv&nosuch=1"])
def test_a_strange_question_is_refused(world, first, query):
    assert first.get(f"/console/accounts/account/export/{query}").status_code == 400
    assert not AuditEvent.objects.filter(event="console:list:exported").exists()


def test_nobody_else_exports(world, member):
    assert console_client(member).get("/console/accounts/account/export/?format=csv").status_code == 404
