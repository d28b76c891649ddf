"""The status page in a real Chromium, and who may open it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.chromium import chromium, chromium_path
from agent.driving import ORIGIN, PIN, DriverProcess, make_certificate, make_lock, until
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from calock.agent.backends.softlock import plug, unplug
from calock.agent.config import Config
from calock.agent.driver_key import DriverKey
from calock.agent.locks import LockTable
from calock.agent.service import Service
from calock.agent.status import CODE_SECONDS, StatusPage, address, ask_code
from calock.demo import pki

needs_chromium = pytest.mark.skipif(not chromium_path(), reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def driver(start, locks: Path) -> DriverProcess:
    make_lock(locks, default_pin=True)
    return start(soft_dir=locks)


def status_page(browser: Browser, driver: DriverProcess) -> Page:
    found = ask_code(driver.state)
    assert found
    context = browser.new_context(locale="zh-CN", viewport={"width": 1366, "height": 768})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=driver.address)
    page = context.new_page()
    page.goto(address(*found))
    page.get_by_text("检测完成").wait_for()
    return page


@needs_chromium
def test_it_shows_what_is_plugged_in_as_it_comes_and_goes(browser: Browser, driver: DriverProcess, locks: Path) -> None:
    page = status_page(browser, driver)
    card = page.inner_text("article")
    for shown in ("测试单位_张三", "太原练习有限公司", "练习 CA", "3301000045102205", "还可尝试 6 次", "国密 SM2", "初始 PIN 码"):
        assert shown in card
    assert ORIGIN in page.inner_text("#sites")
    assert "正常" in page.inner_text("#modules")
    assert driver.address + "/" == page.url  # the code has left the address
    unplug(locks, "3301000045102205")
    page.get_by_text("未检测到 CA 锁").wait_for()
    plug(locks, "3301000045102205")
    page.wait_for_selector("article")
    page.reload()
    page.wait_for_selector("article")


@needs_chromium
def test_certificates_of_one_lock_share_a_card_and_expired_ones_are_marked(browser: Browser, start, locks: Path) -> None:
    key = pki.make_key("SM2")
    old = make_certificate(key, "旧证书", days=(-800, -5))
    make_lock(locks, key=key, certificate=make_certificate(key, "新证书"), extra_certificates_der=(old,))
    page = status_page(browser, start(soft_dir=locks))
    assert page.locator("article").count() == 1
    assert page.locator("article h3").all_inner_texts() == ["新证书", "旧证书(已过期)"]


@needs_chromium
def test_the_pin_is_changed_in_place_by_keyboard(browser: Browser, driver: DriverProcess) -> None:
    page = status_page(browser, driver)
    page.wait_for_selector("article")
    page.get_by_role("button", name="修改 PIN 码").focus()
    page.keyboard.press("Enter")
    for text in ("999999", "000111", "000111"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("PIN 码错误，还可尝试 5 次。").wait_for()
    assert page.input_value("#newPin") == ""
    page.fill("#oldPin", PIN)
    page.fill("#newPin", "000111")
    page.fill("#againPin", "000112")
    page.keyboard.press("Enter")
    page.get_by_text("两次输入的新 PIN 码不一致").wait_for()
    page.fill("#againPin", "000111")
    page.keyboard.press("Enter")
    page.get_by_text("PIN 码已修改").wait_for()
    assert driver.authenticate(pin="000111").status == 200
    until(lambda: "初始 PIN 码" not in page.inner_text("#locks"), "the card to be redrawn")


@needs_chromium
def test_news_that_changes_nothing_leaves_the_keyboard_where_it_is(browser: Browser, driver: DriverProcess) -> None:
    page = browser.new_page()
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/v1/events", lambda socket: sockets.append(socket))  # noqa: PLW0108 - a built-in cannot be wrapped
    found = ask_code(driver.state)
    assert found
    page.goto(address(*found))
    button = page.get_by_role("button", name="修改 PIN 码")
    button.focus()
    until(lambda: page.title() and sockets, "the page to listen for news")
    with page.expect_response("**/status/view"):
        sockets[0].send('{"event":"locks","revision":1}')
    page.evaluate("new Promise((done) => setTimeout(done))")  # the page has read the answer
    expect(button).to_be_focused()


@needs_chromium
def test_the_diagnosis_can_be_copied_and_names_nobody(browser: Browser, driver: DriverProcess) -> None:
    page = status_page(browser, driver)
    page.click("#copy")
    page.get_by_text("已复制").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert '"modules"' in copied
    for secret in ("张三", "太原", "3301000045102205", str(driver.soft.parent)):
        assert secret not in copied


@needs_chromium
def test_a_driver_that_went_away_is_said_so(browser: Browser, driver: DriverProcess) -> None:
    page = status_page(browser, driver)
    driver.close()
    page.get_by_text("驱动已停止").wait_for()


@needs_chromium
def test_without_the_code_the_page_shows_nothing(browser: Browser, driver: DriverProcess) -> None:
    page = browser.new_context().new_page()
    for url in (driver.address + "/", driver.address + "/#made-up"):
        page.goto(url)
        page.get_by_text("本页面已失效").wait_for()
        assert "张三" not in page.content()


@needs_chromium
def test_it_fits_a_narrow_screen(browser: Browser, driver: DriverProcess) -> None:
    page = status_page(browser, driver)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_selector("article")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def own(driver: DriverProcess, path: str, message: dict, **headers: str):
    return driver.call(path, message, origin=driver.address, **headers)


def test_a_code_opens_once_and_only_this_users_programs_get_one(driver: DriverProcess) -> None:
    found = ask_code(driver.state)
    assert found
    session = own(driver, "/status/session", {"code": found[1]})
    assert own(driver, "/status/session", {"code": found[1]}).reason == "SESSION_ENDED"
    view = own(driver, "/status/view", {}, **{"X-Calock-Session": session.json["session"]})
    assert view.json["locks"][0]["serial"] == "3301000045102205"
    for secret in ("", "made-up", "\xe4", found[1]):
        assert own(driver, "/status/view", {}, **{"X-Calock-Session": secret}).reason == "SESSION_ENDED"
    plain = {"Content-Type": "application/json", "X-Calock": "1"}
    assert driver.request("POST", "/status/launch", b"{}", {**plain, "X-Calock-Control": "guess"}).reason == "NOT_ALLOWED"
    assert driver.request("POST", "/status/launch", b"{}", plain).status == 403
    from_a_page = {**plain, "X-Calock-Control": driver.note.control, "Origin": driver.address}
    assert driver.request("POST", "/status/launch", b"{}", from_a_page).status == 403


def test_platforms_have_no_business_here(driver: DriverProcess) -> None:
    for path in ("/status/session", "/status/view", "/status/pin", "/status/launch"):
        reply = driver.call(path, {})
        assert (reply.status, reply.body) == (403, b"")


def test_a_code_is_good_for_a_minute(tmp_path: Path) -> None:
    now = [0.0]
    status = StatusPage(Service(Config(), LockTable(), DriverKey(tmp_path)), control="c", port=1, clock=lambda: now[0])
    old = status.new_code()
    now[0] = CODE_SECONDS + 1
    assert status.new_code() != old
    assert old not in status._codes
