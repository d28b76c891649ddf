"""Window mode in a real Chromium: the user's PIN in the driver's own window, the answer to exactly the page that asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import pytest
from agent.chromium import WINDOW_PAGE, Site, chromium_path, launched, serving
from agent.driving import CHALLENGE, PIN, DriverProcess, make_certificate, make_lock, until
from agent.softhsm import Shim, SoftHsm, Stored
from agent.test_service import verify
from agent.test_shared_computer import AnyPort, taken
from playwright.sync_api import Browser, Page, Playwright, Route, expect, sync_playwright
from serving import free_port

from calock.agent.backends.softlock import plug, unplug
from calock.agent.statements import in_words, purpose_in_words
from calock.agent.window import TICKET_SECONDS, Tickets
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement
from calock.demo import pki
from calock.wire import driver as wire

STATE = "s" * 22
FORM = {"challenge": CHALLENGE, "state": STATE}
NAVIGATION = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}
needs_chromium = pytest.mark.skipif(not chromium_path(), reason="Chromium is not installed")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright) as found:
        yield found


@pytest.fixture(scope="module")
def whole_browser(playwright: Playwright) -> Iterator[Browser]:
    """With an error page of its own for an empty refusal."""
    with launched(playwright, whole=True) as found:
        yield found


@pytest.fixture(autouse=True)
def _everything_closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pages of the tests before would go on working: the browsers stay open."""
    yield
    for name in {"browser", "whole_browser"}.intersection(request.fixturenames):
        for context in request.getfixturevalue(name).contexts:
            context.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site({"/": WINDOW_PAGE})) as found:
        yield found


@pytest.fixture
def driver(start, site: Site, locks: Path) -> DriverProcess:
    make_lock(locks)
    return start(soft_dir=locks, origins=[site.at("shanxi")])


def opened(browser: Browser, driver: DriverProcess, origin: str, challenge: str = CHALLENGE, lock: str = "") -> tuple[Page, Page]:
    """(the platform's page, the driver's window)."""
    page = browser.new_context(locale="zh-CN").new_page()
    page.goto(origin)
    with page.expect_popup() as popup:
        page.evaluate("([a, c, s, l]) => ask(a, c, s, l)", [driver.address, challenge, STATE, lock])
    return page, popup.value


def wait_closed(window: Page, page: Page) -> None:
    """Wait until the window is closed; asking the page lets Playwright hear of it."""
    until(lambda: page.title() and window.is_closed(), "the window to close")


def wait_refused(window: Page, page: Page) -> None:
    """Wait until the browser shows its own error page for the empty refusal."""
    until(lambda: page.title() and window.url.startswith("chrome-error:"), "the browser's error page")


def answers(page: Page) -> list[dict]:
    return [heard["data"] for heard in page.evaluate("heard") if heard["data"]["type"] == "calock-answer"]


@needs_chromium
def test_the_user_sees_who_asks_and_the_page_gets_the_answer(browser: Browser, driver: DriverProcess, site: Site) -> None:
    origin = site.at("shanxi")
    page, window = opened(browser, driver, origin, CHALLENGE.replace("login", "bind"))
    window.wait_for_selector(".lock")
    assert window.inner_text("h1") == f"shanxi.localhost:{site.port}"
    assert "绑定 CA 锁" in window.inner_text(".who")
    assert "测试单位_张三" in window.inner_text(".lock")
    assert "还可尝试 6 次" in window.inner_text("#tries")
    window.fill("#pin", "111111")
    window.keyboard.press("Enter")
    window.get_by_text("PIN 码错误，还可尝试 5 次。").wait_for()
    assert window.input_value("#pin") == ""
    window.fill("#pin", PIN)
    window.keyboard.press("Enter")
    page.wait_for_function("heard.length > 1")
    assert page.evaluate("heard.map((one) => one.origin)") == [driver.address] * 2
    assert page.evaluate("heard[0].data") == {"type": "calock-ready", "state": STATE, "takes": ["statement"]}
    [answer] = answers(page)
    assert answer["state"] == STATE
    verify(answer["answer"], origin=origin, challenge=CHALLENGE.replace("login", "bind"))
    wait_closed(window, page)
    assert len(answers(page)) == 1


@needs_chromium
def test_a_late_answer_does_not_bring_an_older_list_back(browser: Browser, driver: DriverProcess, site: Site, locks: Path) -> None:
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    asked: list[Route] = []
    window.route("**/window/locks", lambda route: asked.append(route), times=1)  # noqa: PLW0108 - a built-in cannot be wrapped
    unplug(locks, "3301000045102205")
    until(lambda: page.title() and asked, "the list to be asked for")
    late = asked[0].fetch()
    with window.expect_response("**/window/locks"):
        plug(locks, "3301000045102205")
    with window.expect_response("**/window/locks"):
        asked[0].fulfill(response=late)
    window.evaluate("new Promise((done) => setTimeout(done))")  # the window has read the late answer
    assert window.locator(".lock").count() == 1


@needs_chromium
def test_while_a_wrong_pin_is_judged_and_until_the_list_is_drawn_again_nothing_is_typed_into_the_void(
    browser: Browser, driver: DriverProcess, site: Site
) -> None:
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    asked: list[Route] = []
    window.route("**/window/locks", lambda route: asked.append(route))  # noqa: PLW0108 - a built-in cannot be wrapped
    window.fill("#pin", "111111")
    window.keyboard.press("Enter")
    until(lambda: page.title() and asked, "the list to be asked for again")
    assert window.locator("#pin").is_disabled() or window.locator("#ok").is_enabled(), "a PIN that no Enter would send"
    assert not window.locator("#error").is_visible()
    window.unroute("**/window/locks")  # which lets those go that were held
    window.get_by_text("PIN 码错误，还可尝试 5 次。").wait_for()
    window.keyboard.type(PIN)
    window.keyboard.press("Enter")
    page.wait_for_function("heard.length > 1")
    verify(answers(page)[0]["answer"], origin=site.at("shanxi"))


@needs_chromium
def test_cancelling_is_told(browser: Browser, driver: DriverProcess, site: Site) -> None:
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    window.click("#cancel")
    page.wait_for_function("heard.length > 1")
    assert answers(page)[0]["error"]["reason"] == "PIN_CANCELLED"


@needs_chromium
def test_the_window_shows_locks_as_they_come_and_go(browser: Browser, driver: DriverProcess, site: Site, locks: Path) -> None:
    unplug(locks, "3301000045102205")
    _, window = opened(browser, driver, site.at("shanxi"))
    window.get_by_text("未检测到 CA 锁").wait_for()
    plug(locks, "3301000045102205")
    window.wait_for_selector(".lock")
    unplug(locks, "3301000045102205")
    window.get_by_text("未检测到 CA 锁").wait_for()


@needs_chromium
def test_the_last_try_is_used_only_after_the_box_is_ticked(browser: Browser, start, site: Site, locks: Path) -> None:
    make_lock(locks, tries_left=1)
    driver = start(soft_dir=locks, origins=[site.at("shanxi")])
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    window.fill("#pin", PIN)
    window.click("#ok")
    window.get_by_text("只剩最后的机会，请先勾选确认").wait_for()
    window.check("#useLast")
    make_lock(locks, serial="3301000045102206")  # the list is drawn again, and takes no consent away
    expect(window.locator(".lock")).to_have_count(2)
    window.fill("#pin", PIN)
    window.click("#ok")
    page.wait_for_function("heard.length > 1")
    verify(answers(page)[0]["answer"], origin=site.at("shanxi"))


@needs_chromium
def test_a_consent_to_the_last_try_is_for_one_lock(browser: Browser, start, site: Site, locks: Path) -> None:
    serials = ("3301000045102205", "3301000045102206")
    for serial in serials:
        make_lock(locks, serial=serial, tries_left=1)
    driver = start(soft_dir=locks, origins=[site.at("shanxi")])
    _, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    window.check("#useLast")
    window.locator(".lock input:not(:checked)").check()
    assert not window.is_checked("#useLast")
    window.check("#useLast")
    chosen = window.locator(".lock:has(:checked)").inner_text()
    unplug(locks, next(serial for serial in serials if serial[-4:] in chosen))
    expect(window.locator(".lock")).to_have_count(1)
    assert not window.is_checked("#useLast")


@needs_chromium
def test_nothing_can_be_typed_before_the_locks_are_known(browser: Browser, driver: DriverProcess, site: Site) -> None:
    context = browser.new_context(locale="zh-CN")
    held = []
    context.route("**/window/locks", lambda route: held.append(route))  # noqa: PLW0108 - a built-in cannot be wrapped
    page = context.new_page()
    page.goto(site.at("shanxi"))
    with page.expect_popup() as popup:
        page.evaluate("([a, c, s, l]) => ask(a, c, s, l)", [driver.address, CHALLENGE, STATE, ""])
    window = popup.value
    window.get_by_text("正在检测 CA 锁").wait_for()
    assert window.is_disabled("#pin")
    assert window.is_disabled("#ok")
    until(lambda: page.title() and held, "the window to ask for the locks")
    held[0].continue_()
    window.wait_for_selector(".lock")
    assert window.is_enabled("#pin")
    assert not window.is_visible("#looking")


@needs_chromium
@pytest.mark.parametrize("host", ["evil", "shanxi.evil"])
def test_another_origin_gets_an_empty_refusal_and_no_window(
    whole_browser: Browser, driver: DriverProcess, site: Site, host: str
) -> None:
    page, window = opened(whole_browser, driver, site.at(host))
    wait_refused(window, page)
    assert page.evaluate("heard") == []


@needs_chromium
def test_a_page_that_replaces_its_own_content_does_not_get_anothers_answer(
    browser: Browser, driver: DriverProcess, site: Site
) -> None:
    """The opener has moved to another origin when the answer comes: postMessage names the attested origin: no page gets it."""
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    page.goto(site.at("evil"))
    window.fill("#pin", PIN)
    window.click("#ok")
    wait_closed(window, page)
    assert page.evaluate("heard") == []


@needs_chromium
def test_without_a_referrer_the_origin_is_null_and_refused(whole_browser: Browser, start, locks: Path) -> None:
    make_lock(locks)
    with serving(Site({"/": WINDOW_PAGE}, headers={"Referrer-Policy": "no-referrer"})) as site:
        driver = start(soft_dir=locks, origins=[site.at("shanxi")])
        page, window = opened(whole_browser, driver, site.at("shanxi"))
        wait_refused(window, page)
        assert page.evaluate("heard") == []


def post(driver: DriverProcess, form: dict | str, **headers: str):
    body = form if isinstance(form, str) else urlencode(form)
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": driver.origins[0]}
    return driver.request("POST", "/window/authenticate", body.encode(), {**kind, **NAVIGATION, **headers})


def ticket(driver: DriverProcess) -> str:
    html = post(driver, FORM).body.decode()
    return html.split('data-ticket="')[1].split('"')[0]


def own(driver: DriverProcess, path: str, message: dict, **headers: str):
    return driver.call(path, message, origin=driver.address, **{"Sec-Fetch-Site": "same-origin", **headers})


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": ""}, {"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Dest": "frame"}, {"Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Dest": "object"},
    ],
)  # fmt: skip
def test_only_a_top_level_navigation_of_an_allowed_page_opens_the_window(shared_driver: DriverProcess, headers: dict) -> None:
    assert post(shared_driver, FORM).status == 200
    reply = post(shared_driver, FORM, **headers)
    assert (reply.status, reply.body) == (403, b"")


@pytest.mark.parametrize(
    "form",
    [
        "", "challenge=x", "x", urlencode({"challenge": CHALLENGE}), urlencode({"state": STATE}), urlencode(FORM) + "&state=other",
        urlencode({**FORM, "pin": PIN}), urlencode({**FORM, "origin": "https://evil.example"}),
        urlencode({**FORM, "state": "short"}),
        urlencode({**FORM, "state": "<b>" * 9}), urlencode({**FORM, "challenge": "<b>"}), urlencode({**FORM, "lock": "x" * 65}),
        "%zz", "challenge=" + "a" * 20000,
    ],
)  # fmt: skip
def test_bad_forms_are_refused(shared_driver: DriverProcess, form: str) -> None:
    assert post(shared_driver, form).status in (400, 413)


def test_the_window_cannot_be_framed_or_cached_and_holds_no_inline_script(shared_driver: DriverProcess) -> None:
    reply = post(shared_driver, FORM)
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in reply.headers


def test_a_ticket_gives_one_answer(shared_driver: DriverProcess) -> None:
    key = ticket(shared_driver)
    [lock] = own(shared_driver, "/window/locks", {"ticket": key}).json["locks"]
    message = {"ticket": key, "lock": lock["id"], "pin": PIN}
    assert own(shared_driver, "/window/sign", {**message, "pin": "999999"}).reason == "PIN_WRONG"
    answer = own(shared_driver, "/window/sign", message).json
    verify(answer["answer"], origin=shared_driver.origins[0])
    assert own(shared_driver, "/window/sign", message).reason == "SESSION_ENDED"
    assert own(shared_driver, "/window/locks", {"ticket": key}).reason == "SESSION_ENDED"


def test_b29_no_answer_after_cancel(shared_driver: DriverProcess) -> None:
    key = ticket(shared_driver)
    [lock] = own(shared_driver, "/window/locks", {"ticket": key}).json["locks"]
    assert own(shared_driver, "/window/cancel", {"ticket": key}).json["error"]["reason"] == "PIN_CANCELLED"
    assert own(shared_driver, "/window/sign", {"ticket": key, "lock": lock["id"], "pin": PIN}).reason == "SESSION_ENDED"


@pytest.mark.parametrize("path", ["/window/locks", "/window/sign", "/window/cancel"])
def test_the_windows_calls_are_its_own(shared_driver: DriverProcess, path: str) -> None:
    key = ticket(shared_driver)
    for origin in (shared_driver.origins[0], "null", "https://evil.example", f"http://127.0.0.1:{shared_driver.port + 1}"):
        reply = shared_driver.call(path, {"ticket": key}, origin=origin)
        assert (reply.status, reply.body) == (403, b"")
    assert own(shared_driver, path, {"ticket": key}, **{"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_ticket_lives_ten_minutes() -> None:
    now = [0.0]
    tickets = Tickets(clock=lambda: now[0])
    key = tickets.issue("https://a.example", wire.WindowRequest(challenge=CHALLENGE, state=STATE))
    now[0] = TICKET_SECONDS - 1
    assert tickets.get(key).origin == "https://a.example"
    now[0] = TICKET_SECONDS
    with pytest.raises(Refusal) as refused:
        tickets.take(key)
    assert refused.value.reason is Reason.SESSION_ENDED


def test_a_page_that_opens_many_windows_loses_its_oldest_and_nobody_elses() -> None:
    tickets = Tickets()
    request = wire.WindowRequest(challenge=CHALLENGE, state=STATE)
    other = tickets.issue("https://b.example", request)
    mine = [tickets.issue("https://a.example", request) for _ in range(40)]
    assert tickets.get(other)
    assert tickets.get(mine[-1])
    with pytest.raises(Refusal):
        tickets.get(mine[0])


def test_purposes_in_words() -> None:
    assert purpose_in_words(CHALLENGE) == "登录"
    assert purpose_in_words(CHALLENGE.replace("login", "stepup")) == "确认您的身份"
    assert purpose_in_words("c9.login.x") == purpose_in_words("a" * 44) == "验证您的身份"
    said = Statement("bind", "shanxi", "https://a.example", "2026-11-29T00:00:00Z", account="cs\u202ebjgys02", organisation="测试")
    assert in_words(said) == "为账户 csbjgys02 绑定此 CA 锁（测试）"


# --- tokens with habits


@pytest.fixture
def token(start, site: Site, shim: Shim, hsm: SoftHsm) -> Callable[..., DriverProcess]:
    """Start a driver with one token that holds these objects, behind a library with these habits."""

    def begin(*objects: Stored, habits: Sequence[str] = ()) -> DriverProcess:
        hsm.add_token("锁", PIN)
        hsm.store("锁", PIN, *objects)
        shim.habits(*habits)
        return start(options=["--pkcs11", shim.module], environment=shim.environment, origins=[site.at("shanxi")])

    return begin


def key_and_certificate(**certificate: str | bool) -> list[Stored]:
    key = pki.make_key("EC")
    made = make_certificate(key, "测试单位_张三")
    return [("private", key.private_pkcs8, {"ID": "01"}), ("certificate", made, {"ID": "01", **certificate})]


@needs_chromium
def test_a_lock_that_hides_its_certificate_shows_it_after_a_pin_and_signs_after_the_next(
    browser: Browser, site: Site, token: Callable[..., DriverProcess]
) -> None:
    driver = token(*key_and_certificate(PRIVATE=True))
    page, window = opened(browser, driver, site.at("shanxi"))
    expect(window.locator(".lock")).to_contain_text("输入 PIN 码后显示证书")
    window.fill("#pin", PIN)
    window.click("#ok")
    expect(window.locator(".lock")).to_contain_text("测试单位_张三")
    expect(window.locator("#error")).to_have_text("已显示证书，请再输入一次 PIN 码完成操作。")
    window.fill("#pin", PIN)
    window.click("#ok")
    page.wait_for_function("heard.length > 1")
    verify(answers(page)[0]["answer"], origin=site.at("shanxi"))


@needs_chromium
def test_a_pin_for_the_reader_is_not_asked_for_in_the_window(
    browser: Browser, site: Site, token: Callable[..., DriverProcess]
) -> None:
    driver = token(*key_and_certificate(), habits=[f"pinpad={PIN}"])
    page, window = opened(browser, driver, site.at("shanxi"))
    expect(window.locator("#onReader")).to_contain_text("在读卡器上输入 PIN 码")
    expect(window.locator("#pin")).to_be_hidden()
    window.click("#ok")
    page.wait_for_function("heard.length > 1")
    verify(answers(page)[0]["answer"], origin=site.at("shanxi"))


@needs_chromium
def test_a_pin_with_a_blank_is_asked_about_and_used_as_it_is_when_it_is_meant(
    browser: Browser, start, site: Site, locks: Path
) -> None:
    make_lock(locks, pin="012345 ")
    driver = start(soft_dir=locks, origins=[site.at("shanxi")])
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    window.fill("#pin", "012345 ")
    window.click("#ok")
    expect(window.locator("#error")).to_contain_text("没有提交，不扣次数")
    expect(window.locator("#pin")).to_have_value("012345 ")
    window.click("#ok")
    page.wait_for_function("heard.length > 1")
    verify(answers(page)[0]["answer"], origin=site.at("shanxi"))


@needs_chromium
def test_closing_the_window_while_the_lock_signs_ends_it(browser: Browser, start, site: Site, locks: Path) -> None:
    make_lock(locks)
    (locks / "fault").write_text("slow in sign")
    driver = start(soft_dir=locks, faulty=True, origins=[site.at("shanxi")])
    page, window = opened(browser, driver, site.at("shanxi"))
    window.wait_for_selector(".lock")
    window.fill("#pin", PIN)
    window.click("#ok")
    until((locks / "signing").exists, "the signature to begin")
    window.click("#cancel")
    page.wait_for_function("heard.length > 1")
    assert answers(page)[0]["error"]["reason"] == "PIN_CANCELLED"
    (locks / "fault").unlink()
    lock = until(lambda: driver.call("/v1/locks", origin=site.at("shanxi")).json["locks"], "the lock")[0]["id"]
    until(lambda: driver.authenticate(lock).reason != "DRIVER_BUSY", "the driver to be free again")


@needs_chromium
def test_the_window_tells_that_another_program_has_the_first_port(browser: Browser, tmp_path: Path, site: Site) -> None:
    make_lock(tmp_path / "locks")
    with taken(1) as others, AnyPort(tmp_path, *others, free_port(), origins=[site.at("shanxi")]) as driver:
        _, window = opened(browser, driver, site.at("shanxi"))
        expect(window.locator("#problems")).to_contain_text("本机的驱动端口由另一个程序占用")
        expect(window.locator("#problems")).to_contain_text(str(others[0]))
