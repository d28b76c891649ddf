"""Chromium's permission for this computer, on a real https page: not asked yet, denied, granted, and the way around it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from agent.chromium import chromium_path
from playwright.sync_api import Browser, Page, Playwright, expect

from calock.demo.children import Child
from calock.demo.keyring import lock
from calock.demo.ports import free_port
from calock.demo.run import _answers, calock_command
from journeys.conftest import ARGUMENTS, WIDE
from journeys.people import PATIENCE
from journeys.platform import Platform
from journeys.tls import gateway, self_signed

HOST = "gov.example"


@dataclass(frozen=True)
class PublicSite:
    browser: Browser
    origin: str

    def page(self, *, permissions: tuple[str, ...] = ()) -> Page:
        context = self.browser.new_context(viewport=WIDE, locale="zh-CN", ignore_https_errors=True)
        context.grant_permissions(list(permissions), origin=self.origin)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        return page


@pytest.fixture(scope="module")
def public(platform: Platform, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicSite]:
    """The same platform as the internet sees it: https, a name of its own, secure cookies, a public address."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    behind = free_port(0)
    public = {"CALOCK_INSECURE_HTTP": "0", "CALOCK_HOSTS_SHANXI": HOST, "CALOCK_PUBLIC_PORT": str(port), "CALOCK_DRIVER_PORTS": ""}
    environment = platform.environment | public
    command = [calock_command(), "serve", "--host", "127.0.0.1", "--port", str(behind), "--workers", "1"]
    server = platform.children.add(Child("public server", command, log=platform.place.logs / "public.log", environment=environment))
    server.wait_until(lambda: _answers(behind, "/healthz") is not None)
    origin = f"https://{HOST}:{port}"
    path = chromium_path(whole=True)  # the shell knows of no permission for the local network
    assert path
    rules = [f"--host-resolver-rules=MAP {HOST} 127.0.0.1", f"--ip-address-space-overrides=127.0.0.1:{port}=public"]
    browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *rules])
    with gateway(listener, self_signed(HOST, tmp_path_factory.mktemp("tls")), behind), platform.usual_driver(origin):
        yield PublicSite(browser, origin)
    browser.close()
    server.stop()
    platform.children._children.remove(server)


def open_ca_tab(page: Page, origin: str) -> None:
    page.goto(origin + "/login/#ca")
    expect(page.locator("[data-ca-login]")).to_be_visible()


def test_granted_means_that_locks_are_found(public: PublicSite) -> None:
    page = public.page(permissions=("local-network-access",))
    open_ca_tab(page, public.origin)
    expect(page.locator("[data-ca-login] [data-device]")).to_contain_text("检测完成")


def test_not_granted_is_coached_with_a_picture_and_one_action(public: PublicSite) -> None:
    """Headless Chromium answers the prompt with no: what people see after a denial."""
    page = public.page()
    open_ca_tab(page, public.origin)
    state = page.locator("[data-ca-login] .state")
    expect(state).to_contain_text("浏览器尚未允许本站访问本机的 CA 驱动")
    expect(state.get_by_role("img", name=re.compile("示意图"))).to_be_visible()
    expect(state.get_by_role("link")).to_have_count(1)
    expect(state).not_to_contain_text("CA 客户端驱动未安装")


def test_denied_is_told_apart_and_says_where_to_allow_it(public: PublicSite) -> None:
    page = public.page()
    session = page.context.new_cdp_session(page)
    denied = {"permission": {"name": "local-network-access"}, "setting": "denied", "origin": public.origin}
    session.send("Browser.setPermission", denied)
    open_ca_tab(page, public.origin)
    state = page.locator("[data-ca-login] .state")
    expect(state.locator("[data-device]")).to_have_attribute("data-reason", "DRIVER_PERMISSION_DENIED")
    expect(state.get_by_role("img", name=re.compile("示意图"))).to_be_visible()
    expect(state.get_by_role("link")).to_have_count(1)


def test_the_drivers_window_needs_no_permission(public: PublicSite) -> None:
    """The way out when the permission was denied: the whole login, on https, without it."""
    page = public.page()
    open_ca_tab(page, public.origin)
    with page.expect_popup() as opened:
        page.locator("[data-ca-login]").get_by_role("button", name=re.compile("改在驱动窗口中输入")).click()
    window = opened.value
    expect(window.locator("body")).to_contain_text(HOST)
    tail = lock("sm2").serial[-4:]
    window.locator("label", has_text=tail).first.click()
    window.locator("input[type=password]").fill(lock("sm2").pin)
    window.locator("button[type=submit], button.primary").first.click()
    expect(page.locator("[data-problem]:visible")).to_contain_text("尚未绑定")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies
    assert all(cookie["secure"] and name.startswith("__Host-") for name, cookie in cookies.items() if "calock" in name)
