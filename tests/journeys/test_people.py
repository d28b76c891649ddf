"""Administrators and operators in a real browser: a colleague's first login, and a proof by lock in the middle of a session."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from journeys.people import PASSWORD, Person, tail_of

NEW = "Xin-Mi-Ma-2026-abc"


def choose_password(person: Person, password: str) -> None:
    """On the page of the one-time code."""
    person.page.get_by_label("新密码", exact=True).fill(password)
    person.page.get_by_label("再输入一次新密码").fill(password)
    person.page.get_by_role("button", name="设置密码").click()
    expect(person.page.get_by_text("请用新密码登录")).to_be_visible()


def test_a_new_colleague_chooses_the_password_from_a_one_time_code(person: Person):
    person.enter("cssbjgys02")
    person.go("/system/")
    person.page.get_by_role("link", name="人员管理").first.click()
    person.picture("members")
    person.page.get_by_role("button", name="新增人员").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label("姓名").fill("王五")
    dialog.get_by_label("账户").fill("wangwu01")
    dialog.get_by_role("button", name="确定").click()
    code = person.page.locator("b.one-time").inner_text()
    link = person.page.get_by_role("button", name="复制链接").get_attribute("data-copy")
    assert link is not None
    assert link.endswith(f"#{code}")
    person.picture("member-code")

    person.log_out()
    requests = person.note_requests()
    person.page.goto(link)
    expect(person.page.get_by_label("一次性代码")).to_have_value(code)
    assert code not in person.page.url
    assert requests
    assert not [request for request in requests if code in request.url]
    person.picture("password-code")
    choose_password(person, NEW)
    person.log_in("wangwu01", NEW)


def test_what_an_administrator_did_is_told_at_the_next_login(person: Person):
    person.enter("cssbjgys02")
    person.go("/system/members/")
    person.page.get_by_role("row", name=re.compile("cssbjgys03")).get_by_role("button", name="重置密码").click()
    person.page.get_by_role("dialog").get_by_role("button", name="重置密码").click()
    link = person.page.get_by_role("button", name="复制链接").get_attribute("data-copy")
    person.log_out()
    person.ca_login(tail_of(person.platform, "bound"), "246802")
    notice = person.page.get_by_text(re.compile("您的密码于.*由本单位管理员测试供应商管理员重置"))
    expect(notice).to_be_visible()
    person.picture("notice")
    person.page.get_by_role("button", name="知道了").click()
    expect(notice).to_have_count(0)
    person.log_out()
    assert link is not None
    person.page.goto(link)
    choose_password(person, PASSWORD)  # as other journeys know it


def test_an_operator_proves_with_the_lock_and_goes_on(person: Person):
    person.ca_login(tail_of(person.platform, "operator-1"), "135790")
    person.page.wait_for_url(re.compile("/console/"))
    person.go("/confirm/?next=/console/failures/")  # where an old proof leads
    panel = person.page.locator("[data-ca-login]")
    expect(panel.locator("[data-device]")).to_contain_text("检测完成")
    person.picture("console-proof")
    person.choose_lock(panel, tail_of(person.platform, "operator-1"))
    panel.locator("[data-pin]").fill("135790")
    panel.get_by_role("button", name="用 CA 锁确认").click()
    person.page.wait_for_url(re.compile("/console/failures/"))
