"""WCAG 2.2 A and AA by axe on every page and dialog, in both schemes and on a phone; text size, keyboard and reflow by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.conftest import PHONE, WIDE
from journeys.people import Person, tail_of

AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""Those of ``RULES`` that look at colours: all that another scheme can change."""
RUN = """(runOnly) => axe.run({runOnly, resultTypes: ["violations"], preload: false}).then(
  ({violations}) => violations.flatMap(({id, nodes}) => nodes.map((node) => `${id} ${node.target} ${node.failureSummary}`)))"""
"""Without ``preload``, which fetches all style sheets and media anew for rules about turned screens and about sound."""
WIDER = """(large) => {
  const page = document.documentElement;
  if (large) page.dataset.size = "large";
  const wider = page.scrollWidth > innerWidth;
  delete page.dataset.size;
  return wider;
}"""
PUBLIC = (
    "/", "/guide/", "/guide/downloads/", "/guide/downloads/ca/", "/downloads/", "/login/", "/help/", "/help/binding/",
    "/help/certificate/", "/help/failures/", "/help/versions/", "/contact/", "/legal/", "/check/", "/nothing/",
)  # fmt: skip
INSIDE = (
    "/apps/", "/user-center/", "/system/", "/system/ca/", "/system/ca/?state=ended", "/system/members/", "/sessions/", "/password/",
    "/notices/", "/confirm/",
)  # fmt: skip
OWNERS = {"shanxi": "cssbjgys02", "zcy": "yuhaiqin"}
LOCKS = {"shanxi": "sm2", "zcy": "zcy-sm2"}


def violations(person: Person, rules: list[str] = RULES) -> list[str]:
    """What axe finds in the page as it stands."""
    if not person.page.evaluate("'axe' in window"):
        person.page.evaluate(AXE.read_text("utf-8"))
    found: list[str] = person.page.evaluate(RUN, rules)
    return [f"{person.page.url}: {line}" for line in found]


def refused_by_the_policy(person: Person) -> list[str]:
    """What the pages' own Content-Security-Policy refuses from now on."""
    said: list[str] = []
    person.page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    return said


def in_every_look(person: Person) -> list[str]:
    """The same in the light and the dark scheme and on a phone."""
    found = violations(person)
    person.page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # no colour in the middle of a change
    found += [f"dark {line}" for line in violations(person, COLOURS)]
    person.page.emulate_media(color_scheme="light", reduced_motion="reduce")
    person.page.set_viewport_size(PHONE)
    found += [f"phone {line}" for line in violations(person)]
    person.page.set_viewport_size(WIDE)
    return found


def too_wide(person: Person) -> list[str]:
    """Windows that the page is too wide for: usual ones, 320 pixels (WCAG 1.4.10), and a phone with 长辈版's large text (1.4.4)."""
    found = []
    for size, large in ((WIDE, False), (PHONE, False), (PHONE, True), ({"width": 320, "height": 640}, False)):
        person.page.set_viewport_size(size)
        if person.page.evaluate(WIDER, large):
            found.append(f"{person.page.url}: wider than {size}, large text: {large}")
    person.page.set_viewport_size(WIDE)
    return found


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_public_pages(person: Person, site: str) -> None:
    person.site = site
    wrong = refused_by_the_policy(person)
    for path in PUBLIC:
        person.go(path)
        wrong += in_every_look(person) + too_wide(person)
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, LOCKS[site]))
    panel.locator("[data-ca-submit]").click()
    person.expect_refused("PIN")
    wrong += in_every_look(person)
    panel.locator("[data-popover-button]").click()
    expect(panel.locator("#failure-help")).to_be_visible()
    wrong += violations(person)
    person.page.get_by_role("button", name="English").click()
    expect(person.page.get_by_role("tab", name="CA login")).to_be_visible()
    for path in ("/", "/login/", "/guide/downloads/ca/", "/help/failures/"):
        person.go(path)
        wrong += violations(person)
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_pages_behind_the_login_and_their_dialogs(person: Person, site: str) -> None:
    person.site = site
    person.enter(OWNERS[site])
    wrong = refused_by_the_policy(person)
    for path in INSIDE:
        person.go(path)
        wrong += in_every_look(person) + too_wide(person)
    person.page.set_viewport_size(PHONE)
    person.page.locator(".menu [data-popover-button]").click()
    expect(person.page.get_by_role("link", name="帮助中心")).to_be_visible()  # what the narrow header has no room for
    wrong += violations(person)
    person.page.set_viewport_size(WIDE)
    dialog = person.open_bind_dialog()
    person.choose_lock(dialog, tail_of(person.platform, LOCKS[site]))
    wrong += in_every_look(person)
    person.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    if site == "shanxi":
        person.page.locator("[data-end]").first.click()
        expect(person.page.locator("[data-end-what]")).to_contain_text("CA锁ID")
        wrong += in_every_look(person)
        person.page.keyboard.press("Escape")
        person.page.locator("[data-detail]").first.click()
        expect(person.page.locator("#detail-drawer")).to_be_visible()
        wrong += in_every_look(person)
    assert "\n".join(wrong) == ""


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_large_text_and_the_dark_scheme_are_remembered_from_page_to_page(person: Person, site: str) -> None:
    person.site = site
    person.go("/")
    person.page.locator("footer").get_by_role("button", name="长辈版").click()
    expect(person.page.locator("html[data-size=large]")).to_have_count(1)
    expect(person.page.locator("body")).to_have_css("font-size", "18.75px")
    person.go("/login/")
    expect(person.page.locator("body")).to_have_css("font-size", "18.75px")
    person.picture("login-large", phone=False)
    person.page.locator("footer").get_by_role("button", name="标准版").click()
    expect(person.page.locator("html[data-size=large]")).to_have_count(0)
    person.page.locator("footer").get_by_role("button", name="深色").click()
    expect(person.page.locator("html")).to_have_css("color-scheme", "dark")
    person.picture("login-dark", phone=False)
    person.go("/")
    expect(person.page.locator("html")).to_have_css("color-scheme", "dark")
    person.picture("home-dark", phone=False)


LOOK = """part => {
  const look = getComputedStyle(part);
  const outline = look.outlineStyle + look.outlineWidth;
  return { outline, line: look.borderBottomColor, fill: look.backgroundColor, border: look.borderTopWidth };
}"""


def test_in_forced_colours_lines_say_what_colours_say_elsewhere(person: Person) -> None:
    """Windows' contrast themes take every background away: what is chosen, current or good must still be seen."""
    person.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, LOCKS["shanxi"]))
    tabs = [person.page.get_by_role("tab", name=name).evaluate(LOOK) for name in ("CA 登录", "账号登录")]
    assert tabs[0]["line"] != tabs[1]["line"]
    assert panel.locator("[data-locks] label:has(:checked)").evaluate(LOOK)["outline"] == "solid2px"
    dot, card = panel.locator("[data-device] .dot").evaluate(LOOK), person.page.locator(".login .card").evaluate(LOOK)
    assert dot["fill"] != card["fill"]
    assert card["border"] == "1px"
    person.picture("login-forced-colours", phone=False)


def test_text_follows_the_size_that_the_browser_is_set_to(person: Person) -> None:
    person.go("/help/login/")
    before = person.page.evaluate("getComputedStyle(document.querySelector('main p')).fontSize")
    person.page.evaluate("document.documentElement.style.fontSize = '32px'")  # as a browser's own setting does
    after = person.page.evaluate("getComputedStyle(document.querySelector('main p')).fontSize")
    assert float(after[:-2]) == pytest.approx(2 * float(before[:-2]))


def test_after_unbinding_the_keyboard_is_in_the_list(person: Person) -> None:
    person.platform.plug("rsa")
    person.enter("cssbjgys02")
    person.bind(tail_of(person.platform, "rsa"), lock("rsa").pin)
    row = person.expect_bound()
    person.unbind(row)
    expect(person.page.locator("[data-end-dialog]")).to_be_hidden()
    expect(person.page.locator("[data-list]")).to_be_focused()
