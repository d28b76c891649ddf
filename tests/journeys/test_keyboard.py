"""Bind a lock, log in with it and unbind it without a mouse; and a dialog that asks before the PIN is typed, not after."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of
from journeys.platform import PASSWORD


def tab_to(person: Person, wanted: Locator, *, key: str = "Tab") -> None:
    """Press Tab until the focus is there."""
    expect(wanted).to_be_visible()
    for _ in range(60):
        if wanted.evaluate("part => part === document.activeElement"):
            return
        person.page.keyboard.press(key)
    raise AssertionError(f"Tab does not lead to {wanted}")


def choose_by_arrows(person: Person, scope: Locator, tail: str) -> None:
    """Go through the locks with the arrow keys; leaving them shows the chosen one alone."""
    first = scope.locator("[data-locks] input").first
    tab_to(person, first)
    if not first.is_checked():
        person.page.keyboard.press("Space")
    for _ in range(30):
        if tail in scope.locator("[data-locks] label:has(:checked)").inner_text():
            break
        person.page.keyboard.press("ArrowDown")
    tab_to(person, scope.locator("[data-pin]"))
    expect(scope.locator("[data-locks] label")).to_have_count(1)
    expect(scope.locator("[data-locks] label")).to_contain_text(tail)


def test_everything_with_the_keyboard_alone(person: Person) -> None:
    page, keys = person.page, person.page.keyboard
    name, tail = "p256", tail_of(person.platform, "p256")
    person.platform.plug(name)
    person.go("/login/")
    expect(page.locator("#username")).to_be_focused()
    keys.type("cssbjgys02")
    tab_to(person, page.locator("#password"))
    keys.type(PASSWORD)
    keys.press("Enter")
    person.expect_inside()

    person.unbind_all("cssbjgys02")  # what journeys before left bound
    person.go("/system/ca/")
    tab_to(person, page.get_by_role("button", name="绑定CA", exact=True).first)
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    choose_by_arrows(person, dialog, tail)
    keys.type(lock(name).pin)
    keys.press("Enter")
    expect(person.expect_bound()).to_contain_text(tail)

    person.log_out()
    person.go("/login/")
    tab_to(person, page.get_by_role("tab", name="账号登录"), key="Shift+Tab")
    keys.press("ArrowRight")
    panel = page.locator("[data-ca-login]")
    card = panel.locator("[data-locks] label")
    expect(card).to_have_count(1)  # of many, the one that this browser used last
    expect(card).to_contain_text(tail)
    tab_to(person, panel.locator("[data-pin]"))
    keys.type(lock(name).pin)
    keys.press("Enter")
    person.expect_inside()

    dialog = person.open_bind_dialog()
    cards = dialog.locator("[data-locks] label")
    expect(cards.filter(has_text=tail)).to_contain_text("已绑定")
    assert cards.count() > 3
    expect(cards.filter(has=page.locator(":checked"))).to_have_count(0)  # not the bound one that this browser used last
    expect(dialog.locator("[data-pin]")).to_be_in_viewport()  # the locks scroll above it
    keys.press("Escape")

    person.log_out()
    person.enter("cssbjgys02")
    person.go("/system/ca/")
    tab_to(person, page.locator("tr", has_text=tail).get_by_role("button", name=re.compile("解除绑定")))
    keys.press("Enter")
    dialog = page.get_by_role("dialog")
    tab_to(person, dialog.get_by_label("解除原因"))
    keys.press("ArrowDown")
    tab_to(person, dialog.get_by_label("您的登录密码"))
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("[data-list]")).to_be_focused()
    expect(page.locator("[data-list] tr", has_text=tail)).to_have_count(0)


def test_the_dialog_asks_for_the_password_before_the_pin_and_what_the_lock_is_after_it(person: Person) -> None:
    question = {
        "candidates": [
            {"binding": "1", "lockId": "7301401000450001", "certificate": "测试供应商有限公司", "boundAt": "2026-10-01T18:30:00Z",
             "notAfter": "2028-11-27T18:30:00Z", "act": "replace"}
        ]
    }  # fmt: skip

    nearly_over = """new MutationObserver(() => {
      const dialog = document.querySelector("[data-fresh]");
      if (dialog && dialog.dataset.fresh > 18) dialog.dataset.fresh = 18;
    }).observe(document, {childList: true, subtree: true})"""
    person.enter("cssbjgys02")
    person.page.add_init_script(nearly_over)
    person.page.route("**/api/bindings", lambda route: route.fulfill(json={"question": question}))
    dialog = person.open_bind_dialog()
    person.choose_lock(dialog, tail_of(person.platform, "rsa"))
    dialog.locator("[data-pin]").fill(lock("rsa").pin)
    expect(dialog.get_by_label("您的登录密码")).to_be_visible()  # nobody clicked: the proof has grown old
    dialog.get_by_label("您的登录密码").fill(PASSWORD)
    dialog.get_by_role("button", name=re.compile("^确 ?定$")).click()
    now = dialog.locator("[aria-current=step] span:visible")
    expect(now).to_have_text("选择绑定方式")
    expect(dialog.locator("[data-choices]")).to_contain_text("绑定于 2026-10-02")  # by the site's clock, as in the list
    person.picture("dialog-question", phone=False)
    dialog.locator("[data-close]").last.click()
    dialog = person.open_bind_dialog()
    expect(now).to_have_text("输入 PIN 码")
