"""Plugging a lock in or out changes the open page by itself."""

from __future__ import annotations

import pytest
from journeys.people import Person, tail_of
from playwright.sync_api import expect


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
    person.log_in(owner)
    dialog = person.open_bind_dialog()
    cards = dialog.locator("[data-locks] label", has_text=tail)
    expect(cards).to_have_count(1)
    person.platform.plug(name, plugged=False)
    expect(cards).to_have_count(0)
    person.platform.plug(name)
    expect(cards).to_have_count(1)


def test_a_lock_behind_a_vendor_library_is_followed_too(person: Person) -> None:
    panel = person.open_ca_login()
    cards = panel.locator("[data-locks] label", has_text=f"尾号 {person.platform.hard['skf-sm2'].tail}")
    expect(cards).to_have_count(1)
    person.platform.skf.unplug("skf-sm2")
    expect(cards).to_have_count(0)
    person.platform.skf.plug("skf-sm2")
    expect(cards).to_have_count(1)
