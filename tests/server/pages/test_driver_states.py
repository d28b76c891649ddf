"""What an open page makes of the program it finds on this computer: none, a real driver, an old one, a stranger's."""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from agent.chromium import chromium_path
from agent.driving import DriverProcess, make_lock
from journeys.conftest import ARGUMENTS
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright
from serving import free_port

from calock.agent.driver_key import DriverKey
from calock.demo import pki

pytestmark = pytest.mark.browser
PATIENCE = 15_000
"""Milliseconds after which something that should appear is missing."""


@pytest.fixture
def ports(settings) -> tuple[int, ...]:
    """The ports at which the page looks: free ones, since this computer may run drivers on the usual ones."""
    found = tuple(free_port() for _ in range(3))
    settings.CALOCK = dataclasses.replace(settings.CALOCK, driver_ports=found)
    pages = " ".join(f"http://127.0.0.1:{port}" for port in found)
    policy = settings.CONTENT_SECURITY_POLICY
    policy = re.sub("connect-src [^;]*;", f"connect-src 'self' {pages} {pages.replace('http', 'ws')};", policy)
    settings.CONTENT_SECURITY_POLICY = re.sub("form-action [^;]*;", f"form-action 'self' {pages};", policy)
    return found


@pytest.fixture
def port(ports: tuple[int, ...]) -> int:
    """The first of them."""
    return ports[0]


@pytest.fixture
def origin(live_server) -> str:
    return live_server.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    assert path, "these tests need Chromium"
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in this thread; no query does while it waits
        found = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, origin: str, port: int) -> Iterator[Page]:
    """One page of a browser that remembers nothing."""
    context = browser.new_context(locale="zh-CN")
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    context.close()


def open_tab(page: Page, origin: str) -> Locator:
    page.goto(origin + "/login/#ca")
    return page.locator("[data-ca-login] [data-device]")


def expect_state(strip: Locator, state: str, words: str, reason: str = "") -> None:
    expect(strip).to_have_attribute("data-state", state, timeout=PATIENCE)
    expect(strip).to_have_attribute("data-reason", reason)
    expect(strip).to_contain_text(words)


@pytest.fixture
def stranger(port: int) -> Iterator[Callable[..., list[bytes]]]:
    """Start another program on a driver's port: what it says to each call, and whether it lets foreign pages read that.

    What it says may be a function of the path and of what it is told; bytes are no JSON. Starting it gives the list of what it is
    told.
    """
    servers: list[ThreadingHTTPServer] = []

    def start(answer: object, *, readable: bool, at: int = port) -> list[bytes]:
        heard: list[bytes] = []

        class Handler(BaseHTTPRequestHandler):
            def _send(self, body: bytes = b"") -> None:
                self.send_response(200)
                if readable:
                    self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", ""))
                    self.send_header("Access-Control-Allow-Headers", "content-type, x-calock")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_OPTIONS(self) -> None:
                self._send()

            def do_GET(self) -> None:
                self._send(b"hello")

            def do_POST(self) -> None:
                heard.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                said = answer(self.path, heard[-1]) if callable(answer) else answer
                self._send(said if isinstance(said, bytes) else json.dumps(said).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", at), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return heard

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_page_notices_a_driver_that_is_started_and_one_that_is_stopped(page: Page, origin: str, port: int, tmp_path: Path):
    strip = open_tab(page, origin)
    expect_state(strip, "failed", "CA 客户端驱动未安装, 请下载", "DRIVER_ABSENT")
    expect(strip.get_by_role("link")).to_have_attribute("href", "/guide/downloads/")
    (tmp_path / "locks").mkdir()
    make_lock(tmp_path / "locks", serial="3301000045102205")
    with DriverProcess(tmp_path, origins=[origin], port=port):
        expect_state(strip, "ready", "检测完成")
        expect(page.locator("[data-pin-facts]")).to_contain_text("PIN 码还可尝试 6 次")
    expect_state(strip, "failed", "CA 驱动刚才停止了，请重新打开驱动，再试一次", "DRIVER_STOPPED")  # not to be downloaded again
    expect(strip.get_by_role("button", name="重新检测")).to_be_visible()


def test_an_old_driver_is_told_apart_with_both_versions(page: Page, origin: str, stranger: Callable[..., None]):
    hello = {"driver": "calock", "version": "0.0.9", "protocol": 1, "pinEntry": ["page"], "package": "shanxi-huren"}
    stranger(hello, readable=True)
    strip = open_tab(page, origin)
    expect_state(strip, "failed", "驱动版本过低（当前 0.0.9，要求 0.1.0）", "DRIVER_TOO_OLD")
    expect(strip.get_by_role("link", name="更新驱动")).to_have_attribute("href", "/guide/downloads/")
    page.goto(origin + "/check/")
    expect(page.get_by_role("link", name="更新驱动").first).to_have_attribute("href", "/guide/downloads/", timeout=PATIENCE)
    expect(page.get_by_role("link", name="下载驱动")).to_have_count(0)


def test_a_button_at_work_is_read_below_the_pointer_as_elsewhere(page: Page, origin: str):
    """It was just clicked: dark words on the blue of a hovered button were told as progress to everybody with a mouse."""
    page.emulate_media(reduced_motion="reduce")
    open_tab(page, origin)
    button = page.locator("[data-ca-submit]")
    button.evaluate("button => { button.disabled = true; }")
    look = "button => { const { color, backgroundColor } = getComputedStyle(button); return [color, backgroundColor]; }"
    away = button.evaluate(look)
    button.hover(force=True)
    assert button.evaluate("button => button.matches(':hover')")
    assert button.evaluate(look) == away


def test_a_driver_of_a_later_protocol_is_not_spoken_to(page: Page, origin: str, stranger: Callable[..., None]):
    stranger({"driver": "calock", "version": "9.0.0", "protocol": 2, "pinEntry": ["page"], "package": ""}, readable=True)
    expect_state(open_tab(page, origin), "failed", "驱动版本", "DRIVER_TOO_OLD")


@pytest.mark.parametrize(
    ("answer", "readable"),
    [
        ({"driver": "xtxapp", "version": "3.2"}, True),
        ({"driver": "calock"}, True),
        ({"retVal": True}, True),
        ([], True),
        (None, True),
        ({"retVal": True}, False),
    ],
)
def test_another_vendors_program_is_told_apart(
    page: Page, origin: str, stranger: Callable[..., None], answer: object, *, readable: bool
):
    stranger(answer, readable=readable)
    expect_state(open_tab(page, origin), "failed", "检测到的是其他 CA 的驱动", "DRIVER_OTHER_VENDOR")


def test_a_real_driver_of_another_platform_does_not_serve_this_one(page: Page, origin: str, port: int, tmp_path: Path):
    with DriverProcess(tmp_path, origins=["https://www.gov.example"], port=port):
        expect_state(open_tab(page, origin), "failed", "检测到的是其他 CA 的驱动", "DRIVER_OTHER_VENDOR")


def test_the_check_page_stops_where_the_trouble_is_and_its_report_names_nobody(page: Page, origin: str, port: int, tmp_path: Path):
    (tmp_path / "locks").mkdir()
    make_lock(tmp_path / "locks", serial="3301000045102205")
    page.goto(origin + "/check/")
    expect(page.locator("[data-check=driver]")).to_have_class("bad", timeout=PATIENCE)
    expect(page.locator("[data-check=lock]")).to_have_class("wait")
    expect(page.locator("[data-check=driver] > .button")).to_have_count(1)
    with DriverProcess(tmp_path, origins=[origin], port=port):
        expect(page.locator("[data-check=lock]")).to_have_class("good", timeout=PATIENCE)
        expect(page.locator("[data-check=provider]")).to_have_class("bad")  # this server recognises no CA
        report = page.locator("[data-report]")
        expect(report).to_have_value(re.compile("driver .*modules"))
        text = report.input_value()
    for private in ("张三", "测试单位", "太原练习有限公司", "2205", str(tmp_path)):
        assert private not in text


# --- programs that pretend to be the driver


def pretended(port: int, proof: object = None) -> dict[str, object]:
    hello = {"driver": "calock", "version": "1.0.0", "protocol": 1, "pinEntry": ["page", "window"], "package": "", "proof": proof}
    return {**hello, "locks": [], "problems": [], "windowOnly": False, "port": port}


def test_two_programs_that_say_to_be_the_driver_are_both_left_alone(
    page: Page, origin: str, ports: tuple[int, ...], tmp_path: Path, stranger: Callable[..., list[bytes]]
):
    """The one that listens first waits for a PIN; the real one stepped aside."""
    heard = stranger(pretended(ports[0]), readable=True)
    with DriverProcess(tmp_path, origins=[origin], port=ports[1]):
        strip = open_tab(page, origin)
        expect_state(strip, "failed", "本机有 2 个程序自称是 CA 驱动", "DRIVER_SEVERAL")
        expect(strip.get_by_role("link")).to_have_attribute("href", re.compile("#F08$"))
        page.locator("[data-pin]").fill("012345")
        page.locator("[data-ca-submit]").click()
        expect(page.locator("[data-problem]")).to_contain_text("本机有 2 个程序自称是 CA 驱动")
        page.goto(origin + "/check/")
        expect(page.locator("[data-check=driver]")).to_contain_text("本机有 2 个程序自称是 CA 驱动", timeout=PATIENCE)
        assert not any(b"012345" in message for message in heard)


@pytest.mark.parametrize("proof", [None, {"key": "AAAA", "port": 1, "version": "1.0.0", "signature": "AAAA"}])
def test_a_program_that_proves_no_key_is_left_alone(
    page: Page, origin: str, port: int, stranger: Callable[..., list[bytes]], proof: object
):
    stranger(pretended(port, proof), readable=True)
    expect_state(open_tab(page, origin), "failed", "不能证明自己是 CA 驱动", "DRIVER_KEY_INVALID")


def test_another_driver_than_before_is_told_before_a_pin_is_typed(page: Page, origin: str, port: int, tmp_path: Path):
    """A program in the place of a driver that does not run: its key is another one. A driver that was reinstalled looks alike."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    with DriverProcess(tmp_path / "old", origins=[origin], port=port):
        expect_state(open_tab(page, origin), "ready", "检测完成")
    with DriverProcess(tmp_path / "old", origins=[origin], port=port):
        expect_state(open_tab(page, origin), "ready", "检测完成")  # the same after a restart
    with DriverProcess(tmp_path / "new", origins=[origin], port=port):
        strip = open_tab(page, origin)
        expect_state(strip, "failed", "与您上次使用的不是同一个", "DRIVER_CHANGED")
        strip.get_by_role("button", name="我重新安装过驱动，继续使用").click()
        expect_state(strip, "ready", "检测完成")
        expect_state(open_tab(page, origin), "ready", "检测完成")


# --- a driver that does not answer


@pytest.mark.parametrize("broken", [b'{"locks": [', {}, None])
def test_a_driver_that_answers_and_gives_no_list_of_locks_is_told_as_broken(
    page: Page, origin: str, port: int, tmp_path: Path, stranger: Callable[..., list[bytes]], broken: object
):
    key = DriverKey(tmp_path)

    def answer(path: str, asked: bytes) -> object:
        if path != "/v1/hello":
            return broken
        proof = key.prove("hello", origin=origin, port=port, nonce=json.loads(asked)["nonce"])
        return pretended(port, msgspec.to_builtins(proof))

    stranger(answer, readable=True)
    strip = open_tab(page, origin)
    expect_state(strip, "failed", "CA 驱动出现错误，请重启驱动后重试", "DRIVER_FAILED")
    expect(strip.get_by_role("button", name="重新检测")).to_be_visible()


def test_a_port_that_is_taken_and_silent_is_not_told_as_not_installed(page: Page, origin: str, port: int):
    with socket.create_server(("127.0.0.1", port)):
        strip = open_tab(page, origin)
        expect_state(strip, "failed", "本机的 CA 驱动没有响应，请退出 CA 驱动后重新启动", "DRIVER_NOT_ANSWERING")
        expect(strip.get_by_role("link")).to_have_attribute("href", re.compile("#F31$"))
        expect(strip).not_to_contain_text("未安装, 请下载")
        page.goto(origin + "/check/")
        expect(page.locator("[data-check=driver]")).to_contain_text("本机的 CA 驱动没有响应", timeout=PATIENCE)


def test_a_driver_that_stops_answering_can_be_given_up_and_comes_back(page: Page, origin: str, port: int, tmp_path: Path):
    make_lock(tmp_path / "locks", serial="3301000045102205")
    with DriverProcess(tmp_path, origins=[origin], port=port) as driver:
        strip = open_tab(page, origin)
        expect_state(strip, "ready", "检测完成")
        page.locator("[data-pin]").fill("012345")
        driver.process.send_signal(signal.SIGSTOP)
        try:
            cancel, seen = page.locator("[data-ca-cancel]"), []

            def look(route: Route) -> None:
                seen.append(cancel.is_visible())
                route.continue_()

            page.route("**/api/challenge", look)
            page.locator("[data-ca-submit]").click()
            expect(page.locator("[data-ca-submit]")).to_contain_text("正在用 CA 锁签名…")
            assert seen == [False]  # there was nothing to cancel yet
            cancel.click()
            expect(page.locator("[data-problem]")).to_contain_text("操作已取消")
            expect(page.locator("[data-ca-submit]")).to_be_enabled()
            expect(cancel).to_be_hidden()
            page.reload()
            expect_state(strip, "failed", "没有响应", "DRIVER_NOT_ANSWERING")
        finally:
            driver.process.send_signal(signal.SIGCONT)
        expect_state(strip, "ready", "检测完成")


@pytest.mark.parametrize(
    ("system", "how"),
    [
        ("Windows NT 10.0; Win64; x64", "从“开始”菜单打开“CA 驱动”"),
        ("Macintosh; Intel Mac OS X 10_15_7", "注销后重新登录电脑"),
        ("X11; Linux x86_64", "从应用程序菜单打开“CA 驱动”"),
    ],
)
def test_where_nothing_listens_both_is_said_not_installed_and_how_to_start_an_installed_one(
    page: Page, origin: str, system: str, how: str
):
    agent = f"Mozilla/5.0 ({system}) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"
    page.add_init_script(f"Object.defineProperty(navigator, 'userAgent', {{ get: () => {json.dumps(agent)} }})")
    strip = open_tab(page, origin)
    expect_state(strip, "failed", "CA 客户端驱动未安装, 请下载", "DRIVER_ABSENT")
    expect(page.locator("[data-ca-login] [data-coach]")).to_contain_text(how)


def test_when_others_have_every_port_the_page_does_not_speak_of_another_vendor(
    page: Page, origin: str, ports: tuple[int, ...], stranger: Callable[..., list[bytes]]
):
    for taken in ports:
        stranger({}, readable=False, at=taken)
    expect_state(open_tab(page, origin), "failed", "供 CA 驱动使用的端口都被本机其他程序占用", "DRIVER_PORTS_TAKEN")


# --- locks that are plugged in and cannot be used


def test_a_lock_that_cannot_be_read_is_not_told_as_no_lock(page: Page, origin: str, port: int, tmp_path: Path):
    key = pki.make_key("EC")
    make_lock(tmp_path / "locks", "EC", key=key, certificate=b"\x30\x82\x01\x00" + bytes(256), serial="3301000045102205")
    with DriverProcess(tmp_path, origins=[origin], port=port):
        strip = open_tab(page, origin)
        expect_state(
            strip, "ready", "已插入 CA 锁，但其中的证书无法读取，请联系发锁的 CA 机构（练*锁 ****2205）", "CERTIFICATE_UNPARSABLE"
        )
        expect(strip.get_by_role("link")).to_have_count(1)
        page.locator("[data-pin]").fill("012345")
        page.locator("[data-ca-submit]").click()
        expect(page.locator("[data-problem]")).to_contain_text("其中的证书无法读取")
        expect(strip).not_to_contain_text("请将 CA 锁插入电脑")
        page.goto(origin + "/check/")
        expect(page.locator("[data-check=lock]")).to_contain_text("其中的证书无法读取", timeout=PATIENCE)
        expect(page.locator("[data-report]")).to_have_value(re.compile("lock bad CERTIFICATE_UNPARSABLE"))


def test_an_empty_lock_is_told_beside_one_that_works(page: Page, origin: str, port: int, tmp_path: Path):
    make_lock(tmp_path / "locks", serial="3301000045102205")
    make_lock(tmp_path / "locks", key=pki.make_key("SM2"), certificate=b"", serial="3301000045109999")
    with DriverProcess(tmp_path, origins=[origin], port=port):
        strip = open_tab(page, origin)
        expect_state(strip, "ready", "检测完成：已检测到 CA 锁")
        hint = page.locator("[data-ca-login] [data-reason=LOCK_WITHOUT_CERTIFICATE]")
        expect(hint).to_contain_text("CA 锁中没有证书（练*锁 ****9999）")
        page.goto(origin + "/check/")
        expect(page.locator("[data-check=lock]")).to_have_class("warn", timeout=PATIENCE)


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (None, "MODULE_MISSING", "没有找到 CA 锁厂商的组件 libvendor.so"),
        (b"no library", "MODULE_FAILED", "组件 libvendor.so 不能使用"),
        (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(100), "MODULE_ARCHITECTURE", "与这台电脑的系统不匹配"),
    ],
)
def test_what_is_wrong_with_a_vendors_library_is_told_as_that(
    page: Page, origin: str, port: int, tmp_path: Path, content: bytes | None, reason: str, words: str
):
    library = tmp_path / "libvendor.so"
    if content is not None:
        library.write_bytes(content)
    with DriverProcess(tmp_path, origins=[origin], port=port, options=["--pkcs11", str(library)]):
        strip = open_tab(page, origin)
        expect_state(strip, "ready", words, reason)
        expect(strip.get_by_role("link")).to_have_attribute("href", re.compile("#F33$"))
        page.goto(origin + "/check/")
        expect(page.locator("[data-check=module]")).to_contain_text(words, timeout=PATIENCE)


# --- the PIN


def test_the_last_two_tries_lead_to_the_drivers_window(page: Page, origin: str, port: int, tmp_path: Path):
    make_lock(tmp_path / "locks", serial="3301000045102205", tries_left=2)
    with DriverProcess(tmp_path, origins=[origin], port=port):
        expect_state(open_tab(page, origin), "ready", "检测完成")
        expect(page.locator("[data-pin-facts]")).to_contain_text("PIN 码只剩 2 次机会")
        expect(page.locator("[data-pin]")).to_be_disabled()
        with page.expect_popup() as opened:
            page.locator("[data-ca-submit]").click()
        window = opened.value
        window.wait_for_selector("#last:not([hidden])")
        window.fill("#pin", "012345")
        window.check("#useLast")
        window.click("#ok")
        expect(page.locator("[data-problem]")).to_be_visible(timeout=PATIENCE)  # this server recognises no CA
        expect(page.locator("[data-pin-facts]")).to_contain_text("PIN 码还可尝试 6 次")
        expect(page.locator("[data-pin]")).to_be_enabled()


def test_after_two_wrong_pins_the_next_is_typed_in_the_drivers_window(page: Page, origin: str, port: int, tmp_path: Path):
    make_lock(tmp_path / "locks", serial="3301000045102205")
    with DriverProcess(tmp_path, origins=[origin], port=port):
        expect_state(open_tab(page, origin), "ready", "检测完成")
        for left in (5, 4):
            page.locator("[data-pin]").fill("999999")
            page.locator("[data-ca-submit]").click()
            expect(page.locator("[data-problem]")).to_contain_text(f"还可尝试 {left} 次")
        expect(page.locator("[data-pin-facts]")).to_contain_text("请点下方按钮，在驱动窗口中输入")
        expect(page.locator("[data-pin]")).to_be_disabled()
        with page.expect_popup():
            page.locator("[data-ca-submit]").click()


@pytest.mark.parametrize("typed", ["012345 ", "\uff10\uff11\uff12\uff13\uff14\uff15", "\u200b012345"])
def test_a_pin_that_brought_something_along_is_asked_about_before_it_costs_a_try(
    page: Page, origin: str, port: int, tmp_path: Path, typed: str
):
    make_lock(tmp_path / "locks", serial="3301000045102205")
    with DriverProcess(tmp_path, origins=[origin], port=port) as driver:
        expect_state(open_tab(page, origin), "ready", "检测完成")
        field = page.locator("[data-pin]")
        field.fill(typed)
        page.locator("[data-ca-submit]").click()
        expect(page.locator("[data-problem]")).to_contain_text("没有提交，不扣次数")
        page.get_by_role("button", name="去掉空格和全角字符").click()
        expect(field).to_have_value("012345")
        expect(field).to_be_focused()
        page.locator("[data-ca-submit]").click()
        expect(field).to_have_value("")
        expect(page.locator("[data-problem]")).to_be_visible(timeout=PATIENCE)  # this server recognises no CA
        assert driver.locks()[0]["pin"]["triesLeft"] == 6
