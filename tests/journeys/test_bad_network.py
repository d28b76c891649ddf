"""A connection that breaks off: the page says so, goes on where it can, and takes nothing for done that was not said to be done."""

from __future__ import annotations

import re

import pytest
from agent.driving import until
from playwright.sync_api import Route, expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of


def test_an_answer_that_did_not_arrive_whole_is_no_login(person: Person) -> None:
    person.page.route("**/api/login", lambda route: route.fulfill(status=200, content_type="application/json", body='{"ne'))
    person.ca_login(tail_of(person.platform, "p256"), lock("p256").pin)
    person.expect_refused("请稍候重试")
    assert "/login/" in person.page.url


BROKEN_OFF = "() => { Response.prototype.text = () => Promise.reject(new TypeError('network error')); }"

LEFT = """() => addEventListener("pagehide", () => {
  const [dialog, button] = ["[data-bind]", "[data-bind-submit]"].map((part) => document.querySelector(part));
  sessionStorage.setItem("left", dialog.open && button.disabled ? "busy" : "as if it were done");
})"""


@pytest.mark.parametrize("whole", [True, False], ids=["refused", "broken off"])
def test_a_lock_that_was_bound_is_shown_though_the_list_could_not_be_asked_for(person: Person, whole: bool) -> None:
    """The page is loaded anew; until then its dialog stays, and nothing on it can be pressed in vain."""
    page, tail = person.page, tail_of(person.platform, "p256")

    def broken(route: Route) -> None:
        if route.request.resource_type == "fetch":
            route.abort("connectionreset")
        else:
            route.continue_()

    person.enter("cssbjgys02")
    person.unbind_all("cssbjgys02")
    page.evaluate(LEFT)
    if whole:
        page.route("**/system/ca/", broken)
    else:
        page.evaluate(BROKEN_OFF)
    with page.expect_event("load"):
        person.bind(tail, lock("p256").pin, here=True)
    assert page.evaluate("sessionStorage.getItem('left')") == "busy"
    expect(person.expect_bound()).to_contain_text("测试供应商管理员")
    page.unroute("**/system/ca/")
    person.unbind(page.locator("[data-list] tbody tr", has_text=tail))
    expect(page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)


def test_details_that_broke_off_are_shown_as_a_page(person: Person) -> None:
    person.enter("cssbjgys03")
    person.go("/system/ca/")
    person.page.evaluate(BROKEN_OFF)
    person.page.locator("[data-detail]").first.click()
    expect(person.page.get_by_role("heading", name="CA 证书详情", level=1)).to_be_visible()


PAINTED = "performance.getEntriesByName('first-contentful-paint').map(({startTime}) => startTime)"
SCRIPT = "performance.getEntriesByType('resource').find(({name}) => name.includes('/bindings.'))"


def test_no_button_is_shown_before_the_script_that_it_needs(person: Person) -> None:
    page = person.page
    person.enter("cssbjgys03")
    held: list[Route] = []
    page.route("**/js/bindings*.js", lambda route: held.append(route))  # noqa: PLW0108 - a built-in cannot be wrapped
    page.goto(person.platform.address("shanxi", "/system/ca/"), wait_until="commit")
    button = page.get_by_role("button", name="绑定CA", exact=True)
    until(lambda: button.count() and held, "the page without its script")
    for route in held:
        route.continue_()
    button.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    script = page.evaluate(SCRIPT)
    assert min(page.evaluate(PAINTED)) > script["responseEnd"]
    assert script["renderBlockingStatus"] == "blocking"  # a page that waits for nothing may have been slow to be painted


def test_the_check_page_comes_to_its_end_and_its_report_can_be_copied(person: Person) -> None:
    person.page.route("**/api/site", lambda route: route.abort("connectionreset"))
    person.go("/check/")
    expect(person.page.locator("[data-check=clock]")).to_have_class("bad")
    for name in ("provider", "clock"):
        expect(person.page.locator(f"[data-check={name}]")).to_contain_text("网络异常，请检查网络后重试")
    expect(person.page.locator("[data-report]")).to_have_value(re.compile("clock bad"))
    copy = person.page.get_by_role("button", name="复制报告")
    copy.click()
    expect(copy).to_have_class(re.compile("copied"))
    person.page.unroute("**/api/site")
    person.page.get_by_role("button", name="重新检测").click()
    expect(person.page.locator("[data-check=clock]")).to_have_class("good")
