"""What people do on the pages, by the words they see."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, Request, expect
from serving import ask

from journeys.platform import PASSWORD, HardLock, Platform

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "guide" / "pictures"
LANDING = {"shanxi": "/apps/", "zcy": "/user-center/"}
TOKEN = "t" * 32
"""Of our own, in cookie and form: what keeps forms of other sites out is that they cannot set the cookie."""
PATIENCE = 15_000
"""Milliseconds after which something that should appear is missing; nothing is expected to take that long."""
expect.set_options(timeout=PATIENCE)


@dataclass
class Person:
    """A browser page with somebody before it."""

    page: Page
    platform: Platform
    site: str = "shanxi"

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)

    def note_requests(self) -> list[Request]:
        """What the page asks for from now on, wherever."""
        noted: list[Request] = []
        self.page.on("request", lambda request: noted.append(request))  # noqa: PLW0108 - a built-in cannot be wrapped
        return noted

    def go(self, path: str) -> None:
        self.page.goto(self.platform.address(self.site, path))

    def picture(self, name: str, *, phone: bool = True) -> None:
        """Take the page into the user guide, wide and as a phone shows it, when asked to by CALOCK_PICTURES=1."""
        if os.environ.get("CALOCK_PICTURES") != "1":
            return
        PICTURES.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size
        self.page.screenshot(path=PICTURES / f"{self.site}-{name}.png")
        if phone:
            self.page.set_viewport_size({"width": 390, "height": 844})
            self.page.screenshot(path=PICTURES / f"{self.site}-{name}-phone.png")
            if size:
                self.page.set_viewport_size(size)

    # --- passwords

    def log_in(self, username: str, password: str = PASSWORD) -> None:
        self.go("/login/#account")  # the browser may remember the other tab
        form = self.page.locator("#account")
        if not form.is_visible():  # the tab that was used last is the one that opens
            self.page.get_by_role("tab").first.click()
        form.get_by_label("账户", exact=True).fill(username)
        form.get_by_label("密码", exact=True).fill(password)
        form.get_by_role("button", name="登录", exact=True).click()
        self.page.wait_for_url(re.compile(re.escape(LANDING[self.site])))

    def enter(self, username: str, password: str = PASSWORD) -> None:
        """Log in with the password as the form does, without its two pages: for what is about something else."""
        address = self.platform.address(self.site)
        known = {cookie["name"]: cookie["value"] for cookie in self.page.context.cookies(address)} | {"csrftoken": TOKEN}
        status, headers, _ = ask(
            self.platform.port, "/login/", method="POST",
            body=urlencode({"username": username, "password": password, "csrfmiddlewaretoken": TOKEN}),
            **{
                "Host": address.split("/")[2], "Origin": address[:-1], "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": "; ".join(f"{name}={value}" for name, value in known.items()),
                "User-Agent": self.page.evaluate("navigator.userAgent"),
            },
        )  # fmt: skip
        assert status == 302, f"{username} was not let in"
        given = SimpleCookie("; ".join(headers.get_all("Set-Cookie")))
        self.page.context.add_cookies(
            [{"name": name, "value": cookie.value, "url": address, "httpOnly": True} for name, cookie in given.items()]
        )

    def log_out(self) -> None:
        self.page.context.clear_cookies()

    # --- locks

    def choose_lock(self, scope: Locator, tail: str) -> None:
        """Choose the lock whose serial ends so; a page shows a chooser only when several are plugged in."""
        card = scope.locator("[data-locks] label", has_text=re.compile(rf"尾号\s*{re.escape(tail)}"))
        others = scope.get_by_role("button", name=re.compile("换一把"))
        expect(card.or_(others).first).to_be_visible()
        if not card.is_visible():  # of many only the chosen one is shown
            others.click()
        card.click()

    def open_bind_dialog(self, *, here: bool = False) -> Locator:
        """``here``: the page with the list of locks is open."""
        if not here:
            self.go("/system/ca/")
        self.page.get_by_role("button", name=re.compile("绑定CA|添加绑定")).first.click()
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        return dialog

    def bind(self, tail: str, pin: str, *, member: str = "", here: bool = False) -> None:
        """Go through the whole dialog up to the button; what comes then is for the caller to look at."""
        dialog = self.open_bind_dialog(here=here)
        if member:
            dialog.get_by_label(re.compile("^(姓名|绑定账户)")).select_option(label=member)
        self.choose_lock(dialog, tail)
        confirm = dialog.get_by_role("button", name=re.compile("^确 ?定$"))
        field_ = dialog.locator("[data-pin]")
        if dialog.locator("[data-pin-later]").count():  # where a site asks for the PIN in a step of its own
            confirm.click()
        field_.fill(pin)
        confirm.click()

    def expect_bound(self) -> Locator:
        """The dialog closes by itself, and the newest row is the new one."""
        expect(self.page.locator("[data-bind]")).to_be_hidden()
        row = self.page.locator("[data-list] tbody tr").first
        expect(row).to_contain_text("正常")
        return row

    def unbind(self, row: Locator, *, reason: str = "更换 CA 锁", password: str = PASSWORD) -> None:
        row.get_by_text("解除绑定").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("解除原因").select_option(label=reason)
        dialog.get_by_label("您的登录密码").fill(password)
        dialog.get_by_role("button", name="解除绑定").click()

    def unbind_all(self, username: str) -> None:
        """Every lock that is bound to the account; on 政采云, whose list names no accounts, every lock in it."""
        self.go("/system/ca/")
        rows = self.page.locator("[data-list] tbody tr")
        if self.site == "shanxi":
            rows = rows.filter(has_text=f"账户: {username}")
        for left in reversed(range(rows.count())):
            self.unbind(rows.first)
            expect(rows).to_have_count(left)

    def open_ca_login(self) -> Locator:
        self.go("/login/")
        self.page.get_by_role("tab", name="CA 登录").click()
        panel = self.page.locator("[data-ca-login]")
        expect(panel.locator("[data-device]")).to_contain_text("检测完成")
        return panel

    def ca_login(self, tail: str, pin: str) -> Locator:
        panel = self.open_ca_login()
        self.choose_lock(panel, tail)
        panel.locator("[data-pin]").fill(pin)
        panel.locator("[data-ca-submit]").click()
        return panel

    def expect_inside(self) -> None:
        self.page.wait_for_url(re.compile(re.escape(LANDING[self.site])))

    def expect_refused(self, words: str) -> Locator:
        """A refusal in people's words, with exactly one next action."""
        shown = self.page.locator("[data-problem]:visible").filter(has_text=words)
        expect(shown).to_be_visible()
        expect(shown.locator("a, button")).to_have_count(1)
        return shown


def tail_of(platform: Platform, name: str) -> str:
    """Last four characters of a lock's serial, as cards show them."""
    if name in platform.hard:
        return platform.hard[name].tail
    from calock.demo.keyring import lock  # noqa: PLC0415 - only journeys with practice locks need it

    return lock(name).serial[-4:]


__all__ = ["LANDING", "PATIENCE", "HardLock", "Person", "tail_of"]
