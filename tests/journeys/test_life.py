"""The life of a lock and of an account: named, near its end, told of, in a calendar; and a colleague who leaves."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from calock.demo.keyring import lock
from journeys.people import LANDING, PASSWORD, Person, tail_of
from journeys.test_pictures import fits

LOCKS = {"shanxi": ("cssbjgys02", "sm2"), "zcy": ("yuhaiqin", "zcy-sm2")}
AS_IF_IT_ENDED = """
from datetime import timedelta
from django.utils import timezone
from calock.core.certificates.certificate import Certificate
from calock.server.expiry.reminders import remind
from calock.server.locks.models import LockCertificate
now = timezone.now()
rows = LockCertificate.objects.filter(lock__lock_id="{serial}")
rows.update(not_after={end})
remind(at=now)
"""
IN_20_DAYS = "now + timedelta(days=20, hours=3)"
AS_ISSUED = "Certificate.parse(rows.get().der).not_after"


@pytest.mark.parametrize("site", LOCKS)
def test_a_lock_gets_a_name_and_its_person_hears_of_its_end_on_the_page_and_in_a_calendar(person: Person, site: str) -> None:
    person.site = site
    owner, name = LOCKS[site]
    person.platform.plug(name)
    person.enter(owner)
    person.unbind_all(owner)
    person.bind(tail_of(person.platform, name), lock(name).pin, here=True)
    person.expect_bound().get_by_role("link", name="备注").click()
    person.page.get_by_label("备注", exact=True).fill("财务室")
    person.page.get_by_label("主锁", exact=True).check()
    fits(person)
    person.picture("label")
    person.page.get_by_role("button", name="保存").click()
    expect(person.page.locator("[data-list] tbody tr").first).to_contain_text("主锁 · 财务室")
    person.picture("label-list")

    person.platform.manage("shell", "-v", "0", "-c", AS_IF_IT_ENDED.format(serial=lock(name).serial, end=IN_20_DAYS))
    try:
        _hears_of_it(person, site)
        if site == "shanxi":
            _operators_see_the_wave(person)
            person.enter(owner)
    finally:  # other journeys use the lock
        person.platform.manage("shell", "-v", "0", "-c", AS_IF_IT_ENDED.format(serial=lock(name).serial, end=AS_ISSUED))
    person.unbind_all(owner)


def _hears_of_it(person: Person, site: str) -> None:
    person.go(LANDING[site])
    told = person.page.locator(".told .said", has_text=re.compile("（财务室）.*将于.*到期"))  # other journeys leave notices too
    expect(told).to_be_visible()
    fits(person)
    person.picture("reminder")
    told.get_by_role("button", name="知道了").click()
    expect(told).to_have_count(0)
    expect(person.page.locator("main")).to_contain_text("只剩一把可以登录的 CA 锁")

    person.go("/system/")
    person.page.get_by_role("link", name="CA 锁到期一览").first.click()
    expect(person.page.locator("tbody tr").first).to_contain_text("还有 20 天到期")
    fits(person)
    person.picture("expiry")
    person.page.get_by_role("button", name="生成订阅链接").click()
    fits(person)
    person.picture("calendar-link")
    address = person.page.locator(".alert .mono").inner_text()
    status, calendar = _fetched(person, address)
    assert (status, calendar[:15]) == (200, "BEGIN:VCALENDAR")
    assert "SUMMARY:CA 锁到期：财务室" in calendar
    person.page.get_by_role("button", name="停用订阅链接").click()
    expect(person.page.get_by_role("button", name="生成订阅链接")).to_be_visible()
    assert _fetched(person, address)[0] == 404
    assert address.partition("token=")[2][:22] not in person.platform.logs()


def _operators_see_the_wave(person: Person) -> None:
    person.log_out()
    person.ca_login(tail_of(person.platform, "operator-1"), "135790")
    expect(person.page.get_by_role("heading", name="信任总览")).to_be_visible()
    person.page.get_by_role("link", name="到期一览").click()
    expect(person.page.locator("tbody").last).to_contain_text("山西CA互认平台")
    fits(person)
    person.picture("console-expiry")
    person.log_out()


def _fetched(person: Person, address: str) -> tuple[int, str]:
    """As a program reads it that has no cookie."""
    asked = "address => fetch(address, {credentials: 'omit'}).then(async answer => [answer.status, await answer.text()])"
    status, text = person.page.evaluate(asked, address)
    return status, text


@pytest.mark.parametrize("site", LOCKS)
def test_a_colleague_leaves_in_one_act_and_their_lock_logs_in_no_more(person: Person, site: str) -> None:
    person.site = site
    owner, name = LOCKS[site]
    person.platform.plug(name)
    tail, pin = tail_of(person.platform, name), lock(name).pin
    person.enter(owner)
    person.unbind_all(owner)
    person.go("/system/members/")
    person.page.get_by_role("button", name="新增人员").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_label("姓名").fill("赵六")
    dialog.get_by_label("账户").fill(f"zhaoliu-{site}")
    dialog.get_by_role("button", name="确定").click()
    expect(person.page.locator("b.one-time")).to_be_visible()
    person.bind(tail, pin, member=f"赵六 (zhaoliu-{site})")
    person.expect_bound()
    person.go("/system/members/?q=zhaoliu")
    person.page.get_by_role("link", name=re.compile("离职")).click()
    expect(person.page.locator("main")).to_contain_text("下列 CA 锁解除绑定")
    person.page.get_by_label("说明").fill("合同到期")
    person.page.get_by_label("您的登录密码").fill(PASSWORD)
    fits(person)
    person.picture("leaving")
    person.page.get_by_role("button", name="确认离职").click()
    expect(person.page.get_by_role("status").filter(has_text="已办理离职")).to_be_visible()
    fits(person)
    person.picture("left")
    person.log_out()
    person.ca_login(tail, pin)
    person.expect_refused("绑定")
