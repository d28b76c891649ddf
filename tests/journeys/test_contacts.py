"""A contact is added, tells what happens to the account, and brings back who forgot the password."""

from __future__ import annotations

import re
import urllib.request

import pytest
from playwright.sync_api import expect

from journeys.people import PASSWORD, Person
from journeys.test_pictures import fits

OWNERS = {"shanxi": ("pszj01", "expert@experts.example"), "zcy": ("zcycs02", "chen@zcy.example")}  # nobody else's journey
NEW = "Xin-De-Mi-Ma-2026"


def newest(person: Person, words: str, address: str) -> str:
    """The newest message there that says ``words``, once the background has sent it."""
    for _ in range(100):
        with urllib.request.urlopen(person.platform.mailbox) as answer:
            messages = re.findall(r"<article>.*?</article>", answer.read().decode(), re.DOTALL)
        found = [one for one in messages if words in one and address in one]
        if found:
            return found[0]
        person.page.wait_for_timeout(300)
    raise AssertionError(f"no message says {words}")


def code(message: str) -> str:
    return re.findall(r"\b[0-9]{8}\b", message)[0]


def choose(person: Person, password: str, old: str) -> None:
    person.go("/password/")
    person.page.get_by_label("当前密码").fill(old)
    person.page.get_by_role("textbox", name="新密码", exact=True).fill(password)
    person.page.get_by_role("textbox", name="再输入一次新密码").fill(password)
    person.page.locator("main form button:not([type=button])").click()


@pytest.mark.parametrize("site", OWNERS)
def test_a_contact_tells_and_brings_back_who_forgot_the_password(person: Person, site: str) -> None:
    person.site = site
    owner, address = OWNERS[site]
    page = person.page
    person.enter(owner)
    person.go("/contacts/")
    fits(person)
    page.get_by_role("textbox", name="邮箱").fill(address)
    section = page.locator("section", has=page.get_by_role("heading", name="邮箱"))
    section.get_by_label("当前密码").fill(PASSWORD)
    section.get_by_role("button", name="发送验证码").click()
    expect(page.locator("main")).to_contain_text("验证码已发送到")
    fits(person)
    person.picture("contacts-code")
    page.get_by_role("textbox", name="验证码").fill(code(newest(person, "正在添加联系方式", address)))
    page.get_by_role("button", name="验证", exact=True).click()
    expect(page.locator("main")).to_contain_text("联系方式已验证")
    fits(person)
    newest(person, "添加了联系方式", address)
    person.go("/notices/")
    expect(page.locator("header .count").first).to_have_text("1")
    fits(person)
    person.picture("messages")
    person.log_out()

    person.go("/password/code/")
    page.get_by_role("link", name="用验证码找回").click()
    page.get_by_label("账户").fill(owner)
    fits(person)
    person.picture("forgotten")
    page.get_by_role("button", name="发送验证码").click()
    page.get_by_role("textbox", name="验证码").fill(code(newest(person, "正在重置账户密码", address)))
    page.get_by_role("textbox", name="新密码", exact=True).fill(NEW)
    page.get_by_role("textbox", name="再输入一次新密码").fill(NEW)
    fits(person)
    page.get_by_role("button", name="重置密码").click()
    expect(page.locator("main")).to_contain_text("密码已重置")
    newest(person, "重置", address)
    person.log_in(owner, NEW)
    expect(page.locator("header .count").first).to_have_text("2")
    person.go("/contacts/")
    page.get_by_role("button", name="移除").click()
    expect(page.locator("main")).to_contain_text("联系方式已移除")
    newest(person, "移除了联系方式", address)
    choose(person, PASSWORD, NEW)  # for the journeys that follow
