"""CA 锁到期一览 on both sites: by month and state, as a file, for whoever sees the locks; and the operators' wave."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import console_client, page_client
from worlds.manual import World
from worlds.page import read

from calock.server.tools.times import local

EXPIRY = "/system/ca/expiry/"


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_an_administrator_sees_the_organisations_locks_first_what_expires_first(world: World, site: str):
    page = read(page_client(site, world.admin), EXPIRY)
    assert EXPIRY in read(page_client(site, world.admin), "/system/").links
    assert "本单位 CA 锁到期一览" in page.text
    assert page.text.index("2020-07-16") < page.text.index("2021-04-23") < page.text.index("还有 20 天到期")
    assert "俞海琴" not in page.text
    own = read(page_client(site, world.member), EXPIRY).text
    assert "本单位" not in own
    assert "2020-07-16" not in own
    assert "CA locks of your organisation by expiry" in read(page_client(site, world.admin, english=True), EXPIRY).text


def test_it_is_narrowed_by_month_and_state_and_written_to_a_file(world: World):
    client = page_client("shanxi", world.admin)
    month = f"{local(timezone.now() + timedelta(days=20, hours=1)):%Y-%m}"
    text = read(client, f"{EXPIRY}?month={month}").text
    assert f"{month}（1）" in text
    assert "2020-07-16" not in text
    assert "李明" in text
    assert "李明" not in read(client, f"{EXPIRY}?status=expired").text.partition("有效期至")[2]
    assert "没有符合条件的记录" in read(client, f"{EXPIRY}?month={month}&status=revoked").text
    for bad in ("month=9999-99", "month=%00", "status=x", "page=-1"):
        assert read(client, f"{EXPIRY}?{bad}")
    answer = client.get(f"{EXPIRY}?month={month}&export=csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert (len(rows), rows[0][4], rows[1][0]) == (2, "备注", "李明")


def test_the_console_shows_the_wave_by_month_and_provider(world: World):
    page = read(console_client(world.operator), "/console/expiry/")
    assert f"{local(timezone.now()):%Y-%m}" in page.text
    assert "山西CA互认平台" in page.text
    assert page_client("shanxi", world.admin).get("/console/expiry/").status_code in (302, 403, 404, 421)
