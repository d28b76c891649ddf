"""A connection that breaks off: the page says so, goes on where it can, and takes nothing for done that was not said to be done."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from calock.demo.keyring import lock
from journeys.people import PATIENCE, Person, tail_of


def test_an_answer_that_did_not_arrive_whole_is_no_login(person: Person) -> None:
    person.page.route("**/api/login", lambda route: route.fulfill(status=200, content_type="application/json", body='{"ne'))
    person.ca_login(tail_of(person.platform, "p256"), lock("p256").pin)
    person.expect_refused("请稍候重试")
    assert "/login/" in person.page.url


def test_a_lock_that_was_bound_is_shown_though_the_list_could_not_be_asked_for(person: Person) -> None:
    tail = tail_of(person.platform, "p256")

    def broken(route: Route) -> None:
        if route.request.resource_type == "fetch":
            route.abort("connectionreset")
        else:
            route.continue_()

    person.enter("cssbjgys02")
    person.page.route("**/system/ca/", broken)
    person.bind(tail, lock("p256").pin)
    expect(person.expect_bound()).to_contain_text("测试供应商管理员")
    person.page.unroute("**/system/ca/")
    person.unbind(person.page.locator("[data-list] tbody tr").first)
    expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)


def test_the_check_page_comes_to_its_end_and_its_report_can_be_copied(person: Person) -> None:
    person.page.route("**/api/site", lambda route: route.abort("connectionreset"))
    person.go("/check/")
    expect(person.page.locator("[data-check=clock]")).to_have_class("bad", timeout=PATIENCE)
    for name in ("provider", "clock"):
        expect(person.page.locator(f"[data-check={name}]")).to_contain_text("网络异常，请检查网络后重试")
    expect(person.page.locator("[data-report]")).to_have_value(re.compile("clock bad"))
    copy = person.page.get_by_role("button", name="复制报告")
    copy.click()
    expect(copy).to_have_class(re.compile("copied"))
    person.page.unroute("**/api/site")
    person.page.get_by_role("button", name="重新检测").click()
    expect(person.page.locator("[data-check=clock]")).to_have_class("good", timeout=PATIENCE)
