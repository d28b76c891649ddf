"""A lock is lost, reported with the password alone, and found again."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import PASSWORD, Person, tail_of
from journeys.test_pictures import fits

LOCKS = {"shanxi": ("cssbjgys02", "sm2"), "zcy": ("yuhaiqin", "zcy-sm2")}


@pytest.mark.parametrize("site", LOCKS)
def test_a_lost_lock_logs_nobody_in_until_its_person_has_it_again(person: Person, site: str) -> None:
    person.site = site
    owner, name = LOCKS[site]
    person.platform.plug(name)
    tail, pin = tail_of(person.platform, name), lock(name).pin
    person.enter(owner)
    person.unbind_all(owner)
    person.bind(tail, pin, here=True)
    row = person.expect_bound()
    row.get_by_role("link", name="挂失").click()
    fits(person)
    person.picture("lost-question")
    person.page.get_by_role("button", name="确认挂失").click()
    expect(person.page.locator("main")).to_contain_text("已挂失")
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_refused("这把 CA 锁已挂失")
    person.page.get_by_role("link", name="用账号密码登录").click()  # stays on the page, and opens the other tab
    form = person.page.locator("#account")
    form.get_by_label("账户", exact=True).fill(owner)
    form.get_by_label("密码", exact=True).fill(PASSWORD)
    form.get_by_role("button", name="登录", exact=True).click()
    person.expect_inside()
    expect(person.page.locator("body")).to_contain_text("挂失，不能再登录")  # the notice
    person.go("/system/ca/")
    person.picture("lost-list")
    person.page.get_by_role("link", name="恢复使用").click()
    panel = person.page.locator("[data-ca-login]")
    expect(panel.locator("[data-locks] label:has(:checked)")).to_contain_text(tail)  # the one the page is about
    fits(person)
    person.picture("lost-resume")
    panel.locator("[data-pin]").fill(pin)
    panel.get_by_role("button", name="恢复使用").click()
    expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_contain_text("正常")
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_inside()
    person.unbind_all(owner)
