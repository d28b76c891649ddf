"""A receipt is found in the list, read, printed, downloaded, and judged by somebody who is not logged in."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of
from journeys.test_pictures import LOCKS, OWNERS, fits


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_a_receipt_goes_from_the_list_to_somebody_who_judges_it(person: Person, site: str, tmp_path: Path) -> None:
    person.site = site
    name, page = LOCKS[site], person.page
    person.platform.plug(name)
    tail = tail_of(person.platform, name)
    person.enter(OWNERS[site])
    person.unbind_all(OWNERS[site])
    person.bind(tail, lock(name).pin, here=True)
    person.expect_bound()
    person.platform.manage("seal_audit")
    person.go("/receipts/")
    fits(person)
    person.picture("receipts")
    page.locator("main table").get_by_role("link", name="查看").first.click()
    expect(page.locator("main")).to_contain_text("CA 锁签署的陈述")
    fits(person)
    person.picture("receipt")
    number = page.locator(".receipt code").first.inner_text()
    end = page.locator(".receipt dt:text-is('CA锁ID') + dd").inner_text()[-4:]
    with page.expect_download() as download:
        page.get_by_role("link", name="下载回执", exact=True).first.click()
    file = tmp_path / "receipt.zip"
    download.value.save_as(file)
    page.emulate_media(media="print")
    expect(page.get_by_role("link", name="下载回执", exact=True).first).to_be_hidden()
    expect(page.get_by_role("img", name="存证核验的二维码")).to_be_visible()
    person.picture("receipt-on-paper", phone=False)
    page.emulate_media(media="screen")
    person.unbind_all(OWNERS[site])
    person.log_out()
    person.go(f"/verify/?number={number}")
    fits(person)
    page.get_by_label("CA锁ID 的后四位").fill(end)
    page.get_by_role("button", name="查询").click()
    expect(page.locator("main")).to_contain_text("该编号的回执存在")
    page.get_by_label("回执文件").set_input_files(file)
    page.get_by_role("button", name="核验").click()
    expect(page.locator("main")).to_contain_text("回执成立")
    fits(person)
    person.picture("verify")
    page.get_by_role("button", name="English").click()
    fits(person)
    person.picture("verify-english", phone=False)
