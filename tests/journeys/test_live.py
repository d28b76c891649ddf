"""Plugging a lock in or out changes the open page by itself."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import expect

from journeys.people import Person, tail_of


@pytest.mark.parametrize(("site", "name", "owner"), [("shanxi", "rsa", "cssbjgys02"), ("zcy", "zcy-p256", "yuhaiqin")])
def test_the_login_page_and_the_dialog_follow_the_lock(person: Person, site: str, name: str, owner: str) -> None:
    person.site = site
    tail = f"尾号 {tail_of(person.platform, name)}"
    panel = person.open_ca_login()
    cards = panel.locator("[data-locks] label", has_text=tail)
    expect(cards).to_have_count(1)
    person.platform.plug(name, plugged=False)
    expect(cards).to_have_count(0)
    person.platform.plug(name)
    expect(cards).to_have_count(1)
    person.enter(owner)
    dialog = person.open_bind_dialog()
    cards = dialog.locator("[data-locks] label", has_text=tail)
    expect(cards).to_have_count(1)
    expect(dialog.locator("[aria-current=step]")).to_have_count(1)  # what a screen reader calls the current step
    person.platform.plug(name, plugged=False)
    expect(cards).to_have_count(0)
    person.platform.plug(name)
    expect(cards).to_have_count(1)


@pytest.mark.parametrize("width", [32, 64])
def test_a_lock_behind_a_vendor_library_is_followed_too(person: Person, width: Literal[32, 64]) -> None:
    name = f"skf{width}-sm2"
    panel = person.open_ca_login()
    cards = panel.locator("[data-locks] label", has_text=f"尾号 {person.platform.hard[name].tail}")
    expect(cards).to_have_count(1)
    person.platform.skf[width].unplug(name)
    expect(cards).to_have_count(0)
    person.platform.skf[width].plug(name)
    expect(cards).to_have_count(1)
