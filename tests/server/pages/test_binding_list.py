"""The list of bindings: narrowed, ordered, in pages, as a file; and what it says of those that are over."""

from __future__ import annotations

import csv
import io
import re

import pytest
from django.utils import timezone
from worlds.browser import page_client
from worlds.manual import World
from worlds.page import read

SHANXI = "/system/ca/"


def lines(answer) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("status=expired", {"first", "second"}),
        ("status=expiring", {"member"}),
        ("status=revoked", set()),
        ("status=surprise", {"first", "second", "member"}),
        ("status=expired&q=7201300001812001", {"first"}),
    ],
)
def test_the_list_narrows_by_status(world: World, query: str, shown: set[str]):
    page = page_client("shanxi", world.admin).get(f"{SHANXI}?{query}").content.decode()
    assert {name for name in ("first", "second", "member") if f'data-binding="{world.bindings[name].pk}"' in page} == shown


def test_what_the_list_was_narrowed_to_stays_chosen(world: World):
    client = page_client("shanxi", world.admin)
    for status, order in (("revoked", ""), ("", "expiry"), ("expired", "expiry"), ("revoked", ""), ("made-up", "made-up")):
        page = client.get(f"{SHANXI}?status={status}&order={order}").content.decode()
        chosen = re.findall(r'<option value="([a-z-]*)" selected>', page)
        assert chosen[:2] == (["", ""] if status == "made-up" else [status, order])


def test_a_members_list_shows_the_same_rows_as_it_opens_and_when_it_is_searched(world: World):
    client, one = page_client("shanxi", world.member), f'data-binding="{world.bindings["member"].pk}"'
    opened, searched = (client.get(f"{SHANXI}{query}").content.decode() for query in ("", f"?q={world.member.username}"))
    rows = [re.search(r"<tbody>.*?</tbody>", page, re.DOTALL) for page in (opened, searched)]
    assert rows[0] is not None
    assert rows[1] is not None
    assert one in rows[0][0]
    assert rows[0][0] == rows[1][0]


def test_what_expires_first_stands_first(world: World):
    page = page_client("shanxi", world.admin).get(f"{SHANXI}?order=expiry").content.decode()
    places = [page.index(f'data-binding="{world.bindings[name].pk}"') for name in ("first", "second", "member")]
    assert places == sorted(places)


def test_an_ended_binding_says_when_by_whom_and_why(world: World):
    ended = world.bindings["first"]
    ended.unbound_at, ended.unbound_by, ended.reason = timezone.now(), world.member, "更换 CA 锁"
    ended.save()
    text = read(page_client("shanxi", world.admin), f"{SHANXI}?state=ended").text
    for fact in ("解除时间", f"{timezone.localtime():%Y-%m-%d}", "解除人: 李明", "解除原因: 更换 CA 锁"):
        assert fact in text


def test_the_whole_list_is_a_file_without_formulas(world: World):
    world.member.name = "=HYPERLINK(1)"
    world.member.save()
    client = page_client("shanxi", world.admin)
    found = lines(client.get(f"{SHANXI}?export=csv"))
    assert found[0][:4] == ["姓名", "账户", "CA 服务商", "CA锁ID"]
    assert len(found) == 4
    assert "'=HYPERLINK(1)" in {row[0] for row in found}
    workbook = client.get(f"{SHANXI}?export=xlsx&status=expired")
    assert b"".join(workbook.streaming_content).startswith(b"PK")
    assert ".xlsx" in workbook["Content-Disposition"]


def test_a_file_holds_no_more_than_the_list(world: World):
    assert len(lines(page_client("shanxi", world.member).get(f"{SHANXI}?export=csv"))) == 2
    assert page_client("shanxi").get(f"{SHANXI}?export=csv").status_code == 302


@pytest.mark.parametrize(("words", "codes"), [("F13", ["F13"]), ("pin 锁定", ["F14"]), ("没有这样的话", [])])
def test_the_catalogue_of_failures_is_searched(world: World, words: str, codes: list[str]):
    page = page_client("shanxi").get("/help/failures/", {"q": words}).content.decode()
    found = [code for code in (f"F{number:02}" for number in range(1, 31)) if f'<li id="{code}">' in page]
    assert found == codes
    assert ("没有符合条件的说明" in page) == (not codes)


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_the_foot_of_every_page_says_who_runs_it(world: World, site: str):
    for path in ("/", "/login/", "/downloads/", "/legal/"):
        foot = page_client(site).get(path).content.decode().partition("<footer")[2]
        for fact in ("主办单位", "网站标识码", "ICP 备案", "公安备案", "电话", "工作日 8:30–17:30", "练习"):
            assert fact in foot, (path, fact)
