"""What an open page makes of the program it finds on this computer: none, a real driver, an old one, a stranger's."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from agent.driving import DriverProcess, make_lock
from journeys.conftest import ARGUMENTS
from journeys.platform import chromium
from playwright.sync_api import Locator, Page, expect, sync_playwright

pytestmark = pytest.mark.browser
PATIENCE = 15_000
"""Milliseconds after which something that should appear is missing."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def port(settings) -> int:
    """The one port at which the page looks: a free one, since this computer may run drivers on the usual ones."""
    found = _free_port()
    settings.CALOCK = dataclasses.replace(settings.CALOCK, driver_ports=(found,))
    sources = f"connect-src 'self' http://127.0.0.1:{found} ws://127.0.0.1:{found};"
    settings.CONTENT_SECURITY_POLICY = re.sub("connect-src [^;]*;", sources, settings.CONTENT_SECURITY_POLICY)
    return found


@pytest.fixture
def origin(live_server) -> str:
    return live_server.url


@pytest.fixture
def page(origin: str, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright's loop runs in this thread; no query does while it waits
    path = chromium()
    assert path, "these tests need Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        found = browser.new_page(locale="zh-CN")
        found.set_default_timeout(PATIENCE)
        yield found
        browser.close()


def open_tab(page: Page, origin: str) -> Locator:
    page.goto(origin + "/login/#ca")
    return page.locator("[data-ca-login] [data-device]")


def expect_state(strip: Locator, state: str, words: str, reason: str = "") -> None:
    expect(strip).to_have_attribute("data-state", state, timeout=PATIENCE)
    expect(strip).to_have_attribute("data-reason", reason)
    expect(strip).to_contain_text(words)


@pytest.fixture
def stranger(port: int) -> Iterator[Callable[..., None]]:
    """Start another program on the driver's port: what it says to ``hello``, and whether it lets foreign pages read that."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: object, *, readable: bool) -> None:
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
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._send(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

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
    expect_state(strip, "failed", "CA 客户端驱动未安装, 请下载", "DRIVER_ABSENT")


def test_an_old_driver_is_told_apart_with_both_versions(page: Page, origin: str, stranger: Callable[..., None]):
    hello = {"driver": "calock", "version": "0.0.9", "protocol": 1, "pinEntry": ["page"], "package": "shanxi-huren"}
    stranger(hello, readable=True)
    strip = open_tab(page, origin)
    expect_state(strip, "failed", "驱动版本过低（当前 0.0.9，要求 0.1.0）", "DRIVER_TOO_OLD")
    expect(strip.get_by_role("link", name="更新驱动")).to_have_attribute("href", "/guide/downloads/")


def test_a_driver_of_a_later_protocol_is_not_spoken_to(page: Page, origin: str, stranger: Callable[..., None]):
    stranger({"driver": "calock", "version": "9.0.0", "protocol": 2, "pinEntry": ["page"], "package": ""}, readable=True)
    expect_state(open_tab(page, origin), "failed", "驱动版本", "DRIVER_TOO_OLD")


@pytest.mark.parametrize(
    ("answer", "readable"),
    [({"driver": "xtxapp", "version": "3.2"}, True), ({"retVal": True}, True), ([], True), (None, True), ({"retVal": True}, False)],
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
