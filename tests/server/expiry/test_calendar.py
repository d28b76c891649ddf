"""The calendar of expiring locks: what a calendar program reads, and who else does not."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from html import unescape

import pytest
from django.db import connection
from django.db.models import F
from icalendar import Calendar
from worlds.browser import Browser, bound, context, logged_in
from worlds.practice import NOW, ORIGIN, make_lock
from worlds.rows import PASSWORD

from calock.server.accounts.calendar_links import end_link
from calock.server.accounts.members import set_account_state
from calock.server.accounts.models import AccountState, CalendarLink
from calock.server.accounts.services import change_own_password, reset_password
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import LockCertificate
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.organisations.models import OrganisationState
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db
ADDRESS = re.compile(r"http://[^/]+(/calendar/ca\.ics\?token=([\w-]+)[^\s\"<]*)")


def events(octets: bytes) -> list:
    return list(Calendar.from_ical(octets).walk("VEVENT"))


def form_of(browser: Browser) -> dict[str, str]:
    page = browser.client.get("/system/ca/expiry/").content.decode()
    return {"step": "make", "replaces": unescape(re.search(r'name="replaces" value="([^"]*)"', page)[1])}


def send(browser: Browser, form: dict[str, str]):
    return browser.client.post("/system/ca/expiry/link/", form, headers={"origin": ORIGIN})


def subscribe(browser: Browser) -> tuple[str, str]:
    answer = send(browser, form_of(browser))
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    found = ADDRESS.search(unescape(answer.content.decode()))
    return found[1], found[2]


def read(path: str, *, ip: str = "192.0.2.9", status: int = 200) -> bytes:
    answer = Browser(ip=ip).client.get(path)  # without any cookie
    assert answer.status_code == status, answer.content
    return answer.content


def test_a_subscription_shows_each_lock_with_alarms_and_a_renewal_moves_its_event(lock_world):
    provider = Provider.objects.get(code=make_lock().family.provider)
    provider.renew_url = "https://ca.example.cn/renew"
    provider.save()
    binding = bound(make_lock(not_after=NOW + timedelta(days=300)), lock_world.member)
    path, token = subscribe(logged_in(lock_world.member))
    (before,) = events(read(path))
    assert before["summary"] == "CA 锁到期：SX-0001"
    assert before["url"] == "https://ca.example.cn/renew"
    assert "0351-1234567" in before["description"]
    assert [alarm["trigger"].dt for alarm in before.walk("VALARM")] == [timedelta(days=-30), timedelta(days=-7)]
    assert isinstance(before["dtstart"].dt, date)
    assert Browser().log_in(make_lock(not_after=NOW + timedelta(days=700))).status_code == 200
    (after,) = events(read(path))
    assert (after["uid"], after["sequence"]) == (before["uid"], before["sequence"] + 1)
    assert after["dtstart"].dt - before["dtstart"].dt == timedelta(days=400)
    assert str(binding.pk) in after["uid"]
    assert "Shanxi Government" in read(path.replace("lang=zh-hans", "lang=en")).decode()
    assert len(token) == 22  # 128 bits


def test_an_administrator_reads_the_members_locks_and_a_member_only_the_own(lock_world):
    bound(make_lock(), lock_world.member)
    bound(make_lock(number=1, lock_id="SX-0002"), lock_world.colleague)
    count = {
        person: len(events(logged_in(person).client.get("/system/ca/expiry/calendar/").content))
        for person in (lock_world.admin, lock_world.member, lock_world.outside_admin)
    }
    assert list(count.values()) == [2, 1, 0]
    assert "张三" not in read(subscribe(logged_in(lock_world.admin))[0]).decode().replace("测试单位_张三", "")
    assert Browser().client.get("/system/ca/expiry/calendar/").status_code == 302


@pytest.mark.parametrize("how", ["replaced", "ended", "disabled and enabled", "password changed", "password reset"])
def test_an_old_link_opens_nothing(lock_world, how):
    browser, member = logged_in(lock_world.member), lock_world.member
    member.set_password(PASSWORD)
    member.save()
    path, _ = subscribe(browser)
    told = Notice.objects.get(account=member, kind="calendar_link")
    assert "订阅链接" in words_of(told).text
    assert read(path)
    if how == "replaced":
        subscribe(browser)
    elif how == "ended":
        browser.client.post("/system/ca/expiry/link/", {"step": "end"}, headers={"origin": ORIGIN})
        end_link(account=member, context=context(account=member))  # a second time nothing happens
        assert AuditEvent.objects.filter(event="account:calendar:ended").count() == 1
    elif how == "password changed":
        change_own_password(account=member, old=PASSWORD, new="ein anderes Wort 7", context=context(account=member))
    elif how == "password reset":
        reset_password(member=member, by=lock_world.admin, context=context(account=lock_world.admin))
    else:
        for state in (AccountState.DISABLED, AccountState.ACTIVE):
            set_account_state(member=member, state=state, by=lock_world.admin, context=context(account=lock_world.admin))
    read(path, status=404)


def test_no_name_in_a_certificate_breaks_the_calendar(lock_world):
    bound(make_lock(), lock_world.member)
    lowest = "\x01" if connection.vendor == "postgresql" else "\x00"  # which PostgreSQL keeps in no text
    LockCertificate.objects.update(subject_cn=f"坏\x0b\r\nBEGIN:VALARM{lowest}名")
    octets = logged_in(lock_world.admin).client.get("/system/ca/expiry/calendar/").content
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", octets)
    (event,) = events(octets)
    assert (len(event.walk("VALARM")), "坏·" in event["description"]) == (2, True)


def test_no_calendar_is_read_while_the_organisation_is_disabled(lock_world):
    bound(make_lock(), lock_world.member)
    path, _ = subscribe(logged_in(lock_world.admin))
    for state, status in ((OrganisationState.DISABLED, 404), (OrganisationState.ACTIVE, 200)):
        lock_world.organisation.state = state
        lock_world.organisation.save()
        read(path, status=status)


def test_the_page_with_the_new_link_works_and_reloading_it_keeps_the_link(lock_world):
    bound(make_lock(), lock_world.member)
    browser = logged_in(lock_world.member)
    subscribe(browser)
    form = form_of(browser)
    page = send(browser, form).content.decode()
    path = ADDRESS.search(unescape(page))[1]
    assert 'method="get" action="/system/ca/expiry/"' in page
    assert browser.client.get(unescape(re.search(r'href="([^"]*export=csv)"', page)[1])).status_code == 200
    assert send(browser, form)["Location"] == "/system/ca/expiry/#calendar"
    assert read(path)


def test_a_link_is_kept_as_a_digest_and_stands_on_no_page_and_in_no_trail(lock_world):
    path, token = subscribe(logged_in(lock_world.member))
    read(path)
    stored = CalendarLink.objects.get()
    assert (len(stored.digest), token in stored.digest) == (64, False)
    assert token not in repr(list(AuditEvent.objects.values()))
    assert token not in logged_in(lock_world.member).client.get("/system/ca/expiry/").content.decode()


def test_whoever_guesses_and_whoever_asks_all_the_time_is_slowed_down(lock_world, settings):
    settings.CALOCK = replace(settings.CALOCK, failures_per_minute=3)
    path, _ = subscribe(logged_in(lock_world.member))
    guesses = [Browser(ip="192.0.2.66").client.get("/calendar/ca.ics?token=x").status_code for _ in range(4)]
    assert guesses == [404, 404, 404, 429]
    again = [Browser(ip=f"192.0.2.{number}").client.get(path).status_code for number in range(4)]
    assert again == [200, 200, 200, 429]


def test_an_old_proof_makes_no_link(lock_world):
    browser = logged_in(lock_world.member)
    Session.objects.update(authenticated_at=F("authenticated_at") - timedelta(minutes=6))
    answer = browser.client.post("/system/ca/expiry/link/", {"step": "make"}, headers={"origin": ORIGIN})
    assert answer["Location"].startswith("/confirm/")
    assert not CalendarLink.objects.exists()
