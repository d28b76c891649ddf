"""What people see when something is wrong with their lock, PIN or driver: the cause, and one thing to do next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from agent.driving import until
from playwright.sync_api import Route, ViewportSize, expect

from calock.agent.backends.softlock import create_soft_lock
from calock.demo import pki
from calock.demo.keyring import lock
from journeys.conftest import PHONE, WIDE
from journeys.people import Person, tail_of
from journeys.platform import Platform


@pytest.mark.parametrize(
    ("name", "words"),
    [("expired", "过期"), ("revoked", "吊销"), ("outside", "互认范围")],
)
def test_a_lock_that_must_not_log_in(person: Person, name: str, words: str) -> None:
    person.ca_login(tail_of(person.platform, name), lock(name).pin)
    person.expect_refused(words)
    assert "/login/" in person.page.url
    person.picture(f"refused-{name}", phone=name == "revoked")


def test_what_went_wrong_is_seen_without_scrolling(person: Person) -> None:
    """Enter in the PIN field moves nothing: on a usual screen the refusal and its next action stand below the window's edge."""
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "revoked"))
    panel.locator("[data-pin]").fill(lock("revoked").pin)
    panel.locator("[data-pin]").press("Enter")
    expect(person.expect_refused("吊销").locator("a, button")).to_be_in_viewport(ratio=1)


def test_a_locked_pin_leads_to_the_hotline_before_anything_is_typed(person: Person) -> None:
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "pin-locked"))
    expect(panel.locator("[data-pin-facts]")).to_contain_text("锁定")
    expect(panel.locator("[data-pin-facts]")).to_contain_text("0351-0000-000")
    expect(panel.locator("[data-pin]")).to_be_disabled()
    person.picture("refused-pin-locked", phone=False)


@pytest.mark.parametrize(("name", "words"), [("expired", "过期"), ("revoked", "吊销"), ("outside", "互认范围")])
def test_a_lock_that_must_not_be_bound(person: Person, name: str, words: str) -> None:
    person.enter("cssbjgys02")
    person.bind(tail_of(person.platform, name), lock(name).pin)
    problem = person.expect_refused(words).bounding_box()
    footer = person.page.locator("[data-bind] footer").bounding_box()
    assert problem
    assert footer
    assert problem["y"] + problem["height"] <= footer["y"], "the dialog's buttons cover what went wrong"


def test_a_lock_of_somebody_else(person: Person) -> None:
    """一把 CA 锁只能绑定一个用户: the other's name is masked."""
    person.enter("cssbjgys02")
    person.bind(tail_of(person.platform, "bound"), lock("bound").pin)
    shown = person.expect_refused("已绑定其他用户")
    expect(shown).to_contain_text("李*")
    expect(shown).not_to_contain_text("李明")


def test_the_bind_dialog_names_a_lock_that_cannot_be_read(person: Person) -> None:
    """It is plugged in beside others: the person who holds it should not look for it in the list in vain."""
    unreadable = create_soft_lock(
        person.platform.place.locks, pin="012345", key_pkcs8=pki.make_key("EC").private_pkcs8,
        certificate_der=b"\x30\x82\x01\x00" + bytes(256), serial="3301000045107777", label="练习锁",
    )  # fmt: skip
    try:
        person.enter("cssbjgys02")
        dialog = person.open_bind_dialog()
        told = dialog.locator("[data-reason=CERTIFICATE_UNPARSABLE]")
        expect(told).to_contain_text("已插入 CA 锁，但其中的证书无法读取")
        expect(told).to_contain_text("7777")
        expect(told.get_by_role("link")).to_have_count(1)
    finally:
        unreadable.unlink()


def test_a_wrong_pin_tells_the_tries_left_and_is_not_kept_in_the_field(person: Person) -> None:
    tail = tail_of(person.platform, "p256")
    panel = person.ca_login(tail, "999999")
    person.expect_refused("PIN 码错误，还可尝试 5 次")
    expect(panel.locator("[data-pin]")).to_have_value("")
    expect(panel.locator("[data-pin]")).to_have_attribute("aria-invalid", "true")
    expect(panel.locator("[data-causes] li").first).to_have_attribute("data-cause", "F13")  # the cause at hand, before all others
    expect(panel.locator("[data-pin-facts]")).to_contain_text("5")
    # the right one, with its leading zero, sets the count back
    panel.locator("[data-pin]").fill("012345")
    expect(panel.locator("[data-pin]")).not_to_have_attribute("aria-invalid", "true")
    panel.locator("[data-ca-submit]").click()
    person.expect_refused("尚未绑定")
    expect(panel.locator("[data-pin-facts]")).to_contain_text("6")


def test_an_empty_pin_costs_no_try(person: Person) -> None:
    panel = person.ca_login(tail_of(person.platform, "p256"), "")
    person.expect_refused("PIN")
    expect(panel.locator("[data-pin-facts]")).to_contain_text("6")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "narrow"])
def test_a_page_never_uses_the_last_tries_and_the_drivers_window_takes_over(person: Person, size: ViewportSize) -> None:
    """After two wrong PINs in a row the page sends its user to the driver's window, where the last two tries take a tick."""
    person.platform.plug("expert")
    person.page.set_viewport_size(size)
    try:
        panel = person.ca_login(tail_of(person.platform, "expert"), "999990")
        person.expect_refused("还可尝试 5 次")
        panel.locator("[data-pin]").fill("999991")
        panel.locator("[data-ca-submit]").click()
        expect(panel.locator("[data-pin-facts]")).to_contain_text("在驱动窗口中输入")
        expect(panel.locator("[data-pin]")).to_be_disabled()
        act = person.expect_refused("还可尝试 4 次").get_by_role("button", name="在驱动窗口中输入")
        expect(act).to_be_in_viewport(ratio=1)
        person.picture("window-after-two", phone=False)
        with person.page.expect_popup() as popup:
            act.click()
        window = popup.value
        window.wait_for_selector("#pin:enabled")
        for left in (3, 2):
            window.fill("#pin", f"99999{left}")
            window.click("#ok")
            expect(window.locator("#error")).to_contain_text(f"还可尝试 {left} 次")
        window.fill("#pin", lock("expert").pin)
        window.click("#ok")
        expect(window.locator("#error")).to_contain_text("请先勾选确认")
        window.check("#useLast")
        window.fill("#pin", lock("expert").pin)
        window.click("#ok")
        person.expect_refused("尚未绑定")  # the PIN was right
        expect(panel.locator("[data-pin]")).to_be_enabled()
    finally:
        person.platform.plug("expert", plugged=False)


def test_a_lock_pulled_out_between_pin_and_button(person: Person) -> None:
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "rsa"))
    panel.locator("[data-pin]").fill(lock("rsa").pin)
    # the page hears of it, but a click may come first: the driver is asked with a handle that is no longer there
    person.page.route("**/v1/locks", lambda route: route.abort())
    person.platform.plug("rsa", plugged=False)
    try:
        panel.locator("[data-ca-submit]").click()
        expect(person.page.locator("[data-problem]:visible")).to_be_visible()
        assert "/login/" in person.page.url
    finally:
        person.page.unroute("**/v1/locks")
        person.platform.plug("rsa")


@pytest.fixture
def without_driver(platform: Platform) -> Iterator[None]:
    platform.stop_driver()
    yield
    if platform.driver is None:
        platform.start_driver()


@pytest.mark.usefixtures("without_driver")
@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_no_driver_is_said_and_noticed_when_it_comes(person: Person, site: str) -> None:
    """Z-24, Z-25: “CA 客户端驱动未安装, 请下载”, then by itself 检测完成."""
    person.site = site
    person.go("/login/")
    person.page.get_by_role("tab", name="CA 登录").click()
    shown = person.page.locator("[data-ca-login]")
    expect(shown).to_contain_text("CA 客户端驱动未安装, 请下载")
    expect(shown.get_by_role("link", name="下载").first).to_be_visible()
    person.picture("driver-absent")
    person.platform.start_driver()
    expect(shown.locator("[data-device]")).to_contain_text("检测完成")


def test_the_driver_stops_in_the_middle(person: Person) -> None:
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "sm2"))
    panel.locator("[data-pin]").fill(lock("sm2").pin)
    person.platform.stop_driver()
    try:
        panel.locator("[data-ca-submit]").click()
        told = person.expect_refused("CA 驱动刚才停止了，请重新打开驱动，再试一次")
        expect(told.get_by_role("button", name="重试")).to_be_visible()
        assert "/login/" in person.page.url
    finally:
        person.platform.start_driver()
    expect(panel.locator("[data-device]")).to_contain_text("检测完成")


def test_why_it_may_fail_opens_by_hover_focus_and_tap(person: Person) -> None:
    """S-39: 可能失败原因."""
    panel = person.open_ca_login()
    button, popover = panel.locator("[data-popover-button]"), panel.locator("#failure-help")
    expect(popover).to_be_hidden()
    button.hover()
    expect(popover).to_be_visible()
    person.picture("failure-help", phone=False)
    person.page.mouse.move(5, 5)
    expect(popover).to_be_hidden()
    panel.get_by_role("link", name="下载驱动").focus()
    person.page.keyboard.press("Tab")
    expect(button).to_be_focused()
    expect(popover).to_be_visible()
    person.page.keyboard.press("Escape")
    expect(popover).to_be_hidden()
    button.click()
    expect(popover).to_be_visible()


def test_a_late_list_does_not_hide_a_lock_that_is_back(person: Person) -> None:
    panel = person.open_ca_login()
    card = panel.locator("[data-locks] label", has_text=tail_of(person.platform, "rsa"))
    expect(card).to_be_visible()
    asked: list[Route] = []
    person.page.route("**/v1/locks", lambda route: asked.append(route), times=1)  # noqa: PLW0108 - a built-in cannot be wrapped
    try:
        person.platform.plug("rsa", plugged=False)
        until(lambda: person.page.title() and asked, "the page to ask for the list")
        with person.page.expect_response("**/v1/locks"):
            late = asked[0].fetch()
            person.platform.plug("rsa")
        with person.page.expect_response("**/v1/locks"):
            asked[0].fulfill(response=late)
        person.page.evaluate("new Promise((done) => setTimeout(done))")
        assert card.is_visible()
    finally:
        person.platform.plug("rsa")
