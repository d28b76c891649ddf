"""The one next action is there to be seen and used as the page stands, without scrolling; and it goes with what it was about."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from calock.demo.keyring import lock
from journeys.conftest import PHONE, WIDE
from journeys.people import Person, tail_of
from journeys.platform import PASSWORD

OWNERS = {"shanxi": "cssbjgys02", "zcy": "yuhaiqin"}
COVERED = """part => [...part.querySelectorAll("a, button, select, input")].filter((act) => {
  const { left, top, width, height } = act.getBoundingClientRect();
  if (!width) return false;
  const at = document.elementFromPoint(left + width / 2, top + height / 2);
  return !act.contains(at);
}).map((act) => act.id || act.textContent.trim())"""


def covered(part: Locator) -> list[str]:
    """Actions and fields inside ``part`` of whose middle something else is seen, or that lie outside of the window."""
    found: list[str] = part.evaluate(COVERED)
    return found


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_no_action_of_a_refusal_in_a_dialog_is_covered(person: Person, site: str) -> None:
    person.site = site
    person.enter(OWNERS[site])
    for size in (WIDE, PHONE):
        person.page.set_viewport_size(size)
        person.bind(tail_of(person.platform, "revoked"), lock("revoked").pin)
        dialog = person.page.locator("[data-bind]")
        shown = person.expect_refused("吊销" if site == "shanxi" else "互认范围")
        assert covered(shown) == []
        assert covered(dialog.locator("footer")) == []
        assert covered(dialog.locator("header")) == []
        shown.locator("a, button").focus()
        assert covered(shown) == []
        person.picture(f"dialog-refused-{'phone' if size is PHONE else 'wide'}", phone=False)
        dialog.locator("[data-bind-submit]").click()  # a PIN is missing: another refusal, in place
        person.expect_refused("请输入 PIN 码").get_by_role("button", name="去填写").click()
        expect(dialog.locator("[data-pin]")).to_be_focused()


def test_an_expired_lock_is_said_before_its_pin_with_its_ca_and_one_day_everywhere(person: Person) -> None:
    panel = person.open_ca_login()
    person.choose_lock(panel, tail_of(person.platform, "expired"))
    facts = panel.locator("[data-pin-facts]")
    expect(facts).to_contain_text("不能登录或绑定")
    expect(facts).to_contain_text("电话 0351-0000-000")
    day = facts.locator(".alert p").first.inner_text().split("已于 ")[1][:10]
    expect(panel.locator("[data-locks] label", has_text="已过期")).to_contain_text(day)
    panel.locator("[data-pin]").fill(lock("expired").pin)
    panel.locator("[data-ca-submit]").click()
    shown = person.expect_refused("过期")
    expect(shown).to_contain_text(f"证书已于 {day} 过期")
    expect(shown).to_contain_text("发锁的 CA：")
    person.picture("expired-before-the-pin")
    person.choose_lock(panel, tail_of(person.platform, "rsa"))  # a good lock: the complaint was about the other one
    expect(person.page.locator("[data-problem]")).to_be_empty()
    expect(facts).not_to_contain_text("过期")


def test_a_complaint_about_a_missing_lock_goes_when_one_is_plugged_in(person: Person) -> None:
    person.page.route("**/v1/locks", lambda route: route.fulfill(json={"locks": [], "problems": []}))
    panel = person.open_ca_login()
    panel.locator("[data-ca-submit]").click()
    person.expect_refused("请将 CA 锁插入电脑")
    with person.page.expect_response("**/v1/locks"):
        person.platform.plug("rsa", plugged=False)
    person.page.unroute("**/v1/locks")
    person.platform.plug("rsa")
    expect(person.page.locator("[data-problem]")).to_be_empty()


@pytest.mark.parametrize("typed", [" 135790", "135790 ", "13579０"])
def test_odd_characters_of_a_pin_are_pointed_out_before_they_cost_a_try(person: Person, typed: str) -> None:
    panel = person.ca_login(tail_of(person.platform, "rsa"), typed)
    shown = person.expect_refused("全角字符")
    expect(panel.locator("[data-pin-facts]")).to_contain_text("6")
    shown.get_by_role("button", name="去掉空格和全角字符").click()
    expect(panel.locator("[data-pin]")).to_be_focused()
    expect(panel.locator("[data-pin]")).to_have_value("135790")


def test_the_check_page_says_its_verdict_where_everybody_sees_it(person: Person) -> None:
    person.go("/check/")
    verdict = person.page.locator("[data-check-status]")
    expect(verdict).to_contain_text("检测完成")
    assert verdict.bounding_box()["y"] < 400  # type: ignore[index]
    assert verdict.locator("a").count() == 1
    person.picture("check-verdict")


def test_who_must_bind_first_comes_to_the_open_dialog(person: Person) -> None:
    person.ca_login(tail_of(person.platform, "rsa"), lock("rsa").pin)
    person.expect_refused("尚未绑定账户").get_by_role("link", name="去绑定").click()
    form = person.page.locator("#account")
    form.get_by_label("账户", exact=True).fill("cssbjgys02")
    form.get_by_label("密码", exact=True).fill(PASSWORD)
    form.get_by_role("button", name="登录", exact=True).click()
    dialog = person.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator(":focus")).to_have_count(1)
    expect(dialog.locator("[data-close]").first).not_to_be_focused()
