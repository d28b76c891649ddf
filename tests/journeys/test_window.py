"""PIN in the driver's own window: no script of a site ever sees it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from calock.demo.keyring import lock
from journeys.people import PATIENCE, Person, tail_of


def enter_pin(window: Page, tail: str, pin: str) -> None:
    window.set_default_timeout(PATIENCE)
    expect(window.locator("body")).to_contain_text("shanxi.localhost")
    expect(window.locator("input[type=password]")).to_be_enabled()  # the locks were looked for
    card = window.locator("label", has_text=tail)
    card.first.click()
    window.locator("input[type=password]").fill(pin)
    window.locator("button[type=submit], button.primary").first.click()


def test_bind_and_log_in_through_the_drivers_window(person: Person) -> None:
    tail, pin = tail_of(person.platform, "rsa"), lock("rsa").pin
    person.enter("cssbjgys02")
    dialog = person.open_bind_dialog()
    person.choose_lock(dialog, tail)
    with person.page.expect_popup() as opened:
        dialog.get_by_role("button", name=re.compile("改在驱动窗口中输入")).click()
    enter_pin(opened.value, tail, pin)
    person.expect_bound()
    person.log_out()

    panel = person.open_ca_login()
    person.choose_lock(panel, tail)
    with person.page.expect_popup() as opened:
        panel.get_by_role("button", name=re.compile("改在驱动窗口中输入")).click()
    window = opened.value
    expect(window.locator("input[type=password]")).to_be_visible()
    expect(window.locator("body")).to_contain_text("登录")
    enter_pin(window, tail, pin)
    person.expect_inside()

    person.log_out()
    person.enter("cssbjgys02")
    person.go("/system/ca/")
    person.unbind(person.page.locator("[data-list] tbody tr", has_text=tail))
    expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)


def test_closing_the_window_is_a_cancellation(person: Person) -> None:
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "rsa"))
    with person.page.expect_popup() as opened:
        panel.get_by_role("button", name=re.compile("改在驱动窗口中输入")).click()
    opened.value.wait_for_load_state()
    opened.value.close(run_before_unload=True)  # as a person does; without, it may wait for ever for the browser's word
    person.expect_refused("取消")
