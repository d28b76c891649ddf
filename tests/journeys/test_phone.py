"""What somebody does with a phone: look, and end a binding from afar. A lock takes a computer, and the pages say so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from journeys.conftest import PHONE
from journeys.people import Person
from journeys.platform import Platform
from journeys.test_next_actions import covered

ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Mobile Safari/537.36"

LARGE_ENGLISH = {"size": "large", "language": "en"}


@pytest.fixture
def caller(browser: Browser, platform: Platform) -> Iterator[Person]:
    context = browser.new_context(viewport=PHONE, locale="zh-CN", user_agent=ANDROID, has_touch=True, is_mobile=True)
    yield Person(context.new_page(), platform)
    context.close()


def test_a_phone_looks_after_an_account_and_is_sent_to_a_computer_for_the_lock(caller: Person) -> None:
    page = caller.page
    caller.go("/")
    page.get_by_role("link", name="办事指南").first.tap()
    page.get_by_role("link", name="下载专区").first.tap()
    page.get_by_role("link", name="CA 证书申领").first.tap()
    expect(page.locator("[data-on-phone]")).to_contain_text("请在 Windows、macOS 或 Linux 电脑上打开本页")
    expect(page.get_by_text("适合这台电脑")).to_have_count(0)
    caller.picture("downloads-on-a-phone", phone=False)

    caller.log_in("cssbjgys03")
    page.get_by_role("link", name="我的 CA 锁").tap()
    row = page.locator("[data-list] tbody tr").first
    expect(row).to_contain_text("浙江天谷CA")
    current = page.locator(".tree [aria-current=page]")
    box = current.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]  # the row of links begins where the reader is
    row.get_by_role("button", name="解除绑定").tap()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("[data-end-what]")).to_contain_text("CA锁ID 3301000045102208")
    assert covered(dialog.locator("footer")) == []
    dialog.get_by_role("button", name="取消").tap()
    page.context.add_cookies([{"name": name, "value": value, "url": page.url} for name, value in LARGE_ENGLISH.items()])
    page.reload()
    page.locator("[data-list] [data-end]").first.tap()
    expect(dialog.locator("[data-end-what]")).to_be_in_viewport(ratio=1)
    assert covered(dialog) == []  # what is to be filled in is seen before what it leads to in full
    dialog.get_by_role("button", name="Cancel").tap()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
