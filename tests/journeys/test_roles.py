"""Who may bind and unbind for whom."""

from __future__ import annotations

from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import Person, tail_of


def test_an_administrator_binds_and_unbinds_for_a_member(person: Person) -> None:
    """绑定账户 ≠ 绑定人, and the member then logs in with the lock."""
    tail, pin = tail_of(person.platform, "sm2"), lock("sm2").pin
    person.enter("cssbjgys02")
    person.bind(tail, pin, member="李明 (cssbjgys03)")
    row = person.expect_bound()
    expect(row).to_contain_text("姓名: 李明")
    expect(row).to_contain_text("账户: cssbjgys03")
    expect(row.locator("td").nth(2)).to_contain_text("测试供应商管理员")
    person.picture("list")
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_inside()
    expect(person.page.locator("header")).to_contain_text("李明")
    person.log_out()
    person.enter("cssbjgys02")
    person.go("/system/ca/")
    person.unbind(person.page.locator("[data-list] tbody tr", has_text=tail))
    expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)


def test_a_member_binds_for_himself_only(person: Person) -> None:
    person.enter("cssbjgys03")
    dialog = person.open_bind_dialog()
    assert dialog.get_by_label("姓名").locator("option").all_inner_texts() == ["李明 (cssbjgys03)"]


def test_nobody_sees_another_organisation(person: Person) -> None:
    person.enter("cssbjgys02")
    person.go("/system/ca/")
    expect(person.page.locator("[data-list]")).to_contain_text("李明")
    detail = person.page.locator("a[data-detail]").first.get_attribute("href")
    assert detail
    person.log_out()
    person.enter("pszj01")
    person.go("/system/ca/")
    expect(person.page.locator("[data-list]")).not_to_contain_text("李明")
    reply = person.page.goto(person.platform.address("shanxi", detail))
    assert reply
    assert reply.status == 404
