"""Every main page of both sites is taken into ``docs/guide/pictures``, wide and on a phone, with CALOCK_PICTURES=1.

``test_accessibility`` always looks at the same pages: nothing sticks out, nothing is refused by the page's own policy.
"""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import expect

from journeys.conftest import PHONE, WIDE
from journeys.people import Person, tail_of

pytestmark = pytest.mark.skipif(os.environ.get("CALOCK_PICTURES") != "1", reason="pictures are taken with CALOCK_PICTURES=1")
OWNERS = {"shanxi": "cssbjgys02", "zcy": "yuhaiqin"}
LOCKS = {"shanxi": "sm2", "zcy": "zcy-sm2"}


def fits(person: Person) -> None:
    """No page is wider than the window, on a desk or on a phone."""
    for size in (PHONE, WIDE):
        person.page.set_viewport_size(size)
        width = person.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], (person.page.url, width)


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_pages_before_login(person: Person, site: str) -> None:
    person.site = site
    complaints: list[str] = []
    person.page.on("console", lambda line: complaints.append(line.text) if "Content Security Policy" in line.text else None)
    for path, name in (("/", "home"), ("/login/", "login-account"), ("/help/", "help"), ("/help/failures/", "failures")):
        person.go(path)
        fits(person)
        person.picture(name)
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, LOCKS[site]))
    fits(person)
    person.picture("login-ca")
    panel.locator("[data-popover-button]").click()
    expect(panel.locator("#failure-help")).to_be_visible()
    person.picture("failure-help")
    person.go("/check/")
    expect(person.page.locator("main")).to_contain_text("CA 锁")
    fits(person)
    person.picture("check")
    assert complaints == []


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_pages_after_login(person: Person, site: str) -> None:
    person.site = site
    person.log_in(OWNERS[site])
    fits(person)
    person.picture("inside")
    dialog = person.open_bind_dialog()
    person.choose_lock(dialog, tail_of(person.platform, LOCKS[site]))
    person.picture("dialog")
    person.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    for path, name in (("/system/ca/", "list-empty"), ("/sessions/", "sessions"), ("/password/", "password")):
        person.go(path)
        fits(person)
        person.picture(name)


def test_english_is_one_click_away(person: Person) -> None:
    person.go("/login/")
    person.page.get_by_role("button", name="English").click()
    expect(person.page.get_by_role("tab", name="CA login")).to_be_visible()
    person.picture("login-english", phone=False)
