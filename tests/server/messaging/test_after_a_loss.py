"""What a finder of a lock makes with it, and takes away, after the loss: the model stands in docs/decisions/people.md."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from server.messaging.conftest import MAIL, add, background
from server.messaging.test_delivery import contact
from server.messaging.test_recovery import NEW, ask, reset
from worlds.browser import Browser, bound, context, logged_in, page_client
from worlds.mail import text_of
from worlds.practice import NOW, make_lock
from worlds.rows import PASSWORD, USCC, rewrite

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.calendar_links import make_link
from calock.server.accounts.models import Account, CalendarLink
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact, ContactCode
from calock.server.contacts.services import REACH
from calock.server.locks.step_up import Evidence
from calock.server.locks.suspension import suspend_lock
from calock.server.locks.unbinding import unbind_by_operators, unbind_lock
from calock.server.login.services import login_with_password
from calock.server.messaging.sending import sweep_contacts
from calock.server.notices.models import Notice, NoticeKind
from calock.server.notices.words import words_of
from calock.server.sessions.models import Session
from calock.server.tools import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def stranger():
    return page_client("shanxi")


def lock_of(number: int):
    """One more lock of the member's firm."""
    return make_lock("EC", number=number, uscc=USCC, not_after=NOW + timedelta(days=700), lock_id=f"SX-000{number + 1}")


def in_hand(lock) -> Browser:
    """The browser of somebody who logs in with the lock."""
    plain = page_client("shanxi")
    browser = Browser(host=plain.defaults["HTTP_HOST"])
    assert browser.log_in(lock).status_code == 200
    browser.client.defaults.update(plain.defaults)
    return browser


@pytest.fixture
def found(lock_world):
    """A bound lock, and the browser of who found it and knows its PIN: binding and browser."""
    lock = lock_of(0)
    binding = bound(lock, lock_world.member)
    return binding, in_hand(lock).client


def test_a_password_by_a_contact_that_a_lost_lock_brought_falls_with_it(mailbox, lock_world, stranger, found):
    member, (binding, finder) = lock_world.member, found
    add(finder, mailbox)
    ask(stranger, member.username)
    background()
    assert reset(stranger, mailbox.code(MAIL), member.username).status_code == 302
    login_with_password(username=member.username, password=NEW, context=context())
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    assert Session.objects.filter(account=member, ended_at=None).count() == 1  # in which it was reported
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username=member.username, password=NEW, context=context())


def test_a_contact_that_a_lost_lock_brought_falls_with_it(mailbox, lock_world, stranger, found):
    member, (binding, finder) = lock_world.member, found
    add(finder, mailbox)
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    assert not Contact.objects.verified().exists()
    before = len(mailbox.mails)
    ask(stranger)
    background()
    assert not any("重置账户密码" in text_of(one) for one in mailbox.mails[before:])


def test_the_person_s_own_contact_comes_back_from_a_finder_and_is_told_and_the_finder_s_is_not(mailbox, lock_world, found):
    member, (binding, finder) = lock_world.member, found
    contact(member, "own@supplier.example")
    for value in ("first@finder.example", MAIL):
        add(finder, mailbox, value)
    background()
    sweep_contacts(at=clock.now() + timedelta(days=29))
    before = len(mailbox.mails)
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    background()
    assert {one["X-Envelope-To"] for one in mailbox.mails[before:]} == {"own@supplier.example"}
    words = "已移除凭它添加的联系方式 z***@supplier.example。已恢复凭它移除的联系方式 o***@supplier.example，请重新验证。"
    assert any(words in text_of(one) for one in mailbox.mails[before:])
    assert [one.value for one in Contact.objects.all()] == ["own@supplier.example"]
    row = AuditEvent.objects.get(event="binding:lock:suspended")
    assert row.details["contacts_ended"] == ["z***@supplier.example"]
    assert row.details["contacts_restored"] == ["o***@supplier.example"]


def test_a_report_that_comes_while_a_finder_verifies_a_contact_wins(mailbox, lock_world, found, monkeypatch):
    member, (binding, finder) = lock_world.member, found
    judge = ContactCode.is_right

    def report_meanwhile(code, *args, **kwargs):
        suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
        return judge(code, *args, **kwargs) or True

    assert finder.post("/contacts/add/", {"kind": "mail", "value": MAIL}).status_code == 302
    background()
    row = Contact.objects.get()
    monkeypatch.setattr(ContactCode, "is_right", report_meanwhile)
    assert finder.post(f"/contacts/{row.pk}/verify/", {"code": mailbox.code(MAIL)}).status_code == 401
    assert not Contact.objects.verified().exists()


def ended_by_operators(world, binding):
    by = {"by": world.operator, "context": context(account=world.operator)}
    with transaction.atomic():
        unbind_by_operators(binding=binding.pk, reason="锁丢失", **by)


def ended_by_administrator(world, binding):
    evidence = Evidence(password=PASSWORD)
    world.admin.set_password(PASSWORD)
    world.admin.save()
    unbind_lock(binding=binding.pk, reason="锁丢失", evidence=evidence, by=world.admin, context=context(account=world.admin))


@pytest.mark.parametrize("end", [ended_by_operators, ended_by_administrator])
def test_what_a_finder_made_ends_with_the_binding_whoever_ends_it(mailbox, lock_world, found, end):
    binding, finder = found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    add(finder, mailbox)
    end(lock_world, binding)
    assert not Contact.objects.exists()
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username=lock_world.member.username, password=NEW, context=context())
    assert AuditEvent.objects.get(event="binding:lock:ended").details["password_ended"] is True
    told = Notice.objects.get(account=lock_world.member, kind=NoticeKind.LOCK_UNBOUND)
    assert words_of(told).text.count("凭它设置的登录密码已失效") == 1


def test_a_finder_does_not_unbind_the_lock_to_keep_the_password_that_it_chose(lock_world, found):
    binding, finder = found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    member = lock_world.member
    member.refresh_from_db()
    with pytest.raises(Refusal, match=Reason.LAST_LOCK):
        unbind_lock(binding=binding.pk, reason="换锁", evidence=Evidence(password=NEW), by=member, context=context(account=member))


@pytest.fixture
def spare(lock_world, found):
    """The member's second lock, which nobody lost."""
    lock = lock_of(1)
    assert logged_in(lock_world.member).bind(lock, lock_world.member, choose="another").status_code == 200
    return lock


@pytest.fixture
def with_ways_in(mailbox, lock_world, spare, found):
    """The binding of a found lock, with which a password was chosen and a mailbox added."""
    binding, finder = found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    add(finder, mailbox)
    return binding


def assert_finder_is_out(member: Account) -> None:
    assert not Contact.objects.exists()
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username=member.username, password=NEW, context=context())


def test_a_person_who_unbinds_the_found_lock_by_their_spare_one_ends_what_the_finder_made(lock_world, spare, with_ways_in):
    person = in_hand(spare)
    challenge = person.challenge("unbind", binding=str(with_ways_in.pk))
    given = {"reason": "CA 锁遗失或损坏", "challenge": challenge, "token": spare.sign(challenge)}
    assert person.post(f"/api/bindings/{with_ways_in.pk}/end", given).status_code == 200
    assert_finder_is_out(lock_world.member)
    assert Session.objects.filter(account=lock_world.member, ended_at=None).count() == 1  # the person's


def test_a_person_who_replaces_the_found_lock_by_their_spare_one_ends_what_the_finder_made(lock_world, spare, with_ways_in):
    choice = {"act": "replace", "binding": str(with_ways_in.pk)}
    assert in_hand(spare).bind(lock_of(2), lock_world.member, choice=choice).status_code == 200
    assert_finder_is_out(lock_world.member)


def test_a_lock_that_a_finder_binds_as_their_own_is_told_at_once(mailbox, lock_world):
    member, lock = lock_world.member, lock_of(0)
    bound(lock, member)
    contact(member, "own@supplier.example")
    assert in_hand(lock).bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    background()
    (mail,) = (
        text_of(one) for one in mailbox.mails if one["X-Envelope-To"] == "own@supplier.example" and "SX-0003" in text_of(one)
    )
    assert "绑定前用 CA 锁 SX-0001 验证了身份。" in mail
    assert re.search(r"查看 CA 绑定：http\S+/system/ca/\s", mail)  # where it is reported lost, or unbound


@pytest.mark.parametrize(("days", "falls"), [(29, True), (31, False)])
def test_a_password_of_a_month_ago_is_believed_to_be_the_persons(lock_world, found, days, falls):
    member, (binding, finder) = lock_world.member, found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    rewrite(*Account.objects.all(), password_changed_at=timezone.now() - timedelta(days=days))
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    member.refresh_from_db()
    assert member.has_usable_password() is not falls


def test_a_contact_that_came_back_is_told_and_opens_the_account_only_when_it_is_verified_anew(mailbox, lock_world, found, stranger):
    """The person may have given the mailbox up themselves, and another have it now."""
    member, (binding, finder) = lock_world.member, found
    own = "own@supplier.example"
    contact(member, own)
    add(finder, mailbox)
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    ask(stranger, member.username)
    background()
    assert any("已恢复凭它移除的联系方式" in text_of(one) for one in mailbox.mails if one["X-Envelope-To"] == own)
    assert not any("重置账户密码" in text_of(one) for one in mailbox.mails)
    member.set_password(PASSWORD)
    member.save()
    person = page_client("shanxi", member)
    assert "待重新验证" in person.get("/contacts/").content.decode()
    add(person, mailbox, own)
    ask(stranger, member.username)
    background()
    assert reset(stranger, mailbox.code(own), member.username).status_code == 302


@pytest.mark.parametrize(("days", "falls"), [(1, True), (31, False)])
def test_a_calendar_that_was_subscribed_to_lately_ends_with_the_lock(lock_world, found, days, falls):
    member, (binding, _finder) = lock_world.member, found
    make_link(account=member, context=context(account=member))
    CalendarLink.objects.update(created_at=timezone.now() - timedelta(days=days))
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    assert CalendarLink.objects.exists() is not falls
    assert AuditEvent.objects.filter(event=Event.CALENDAR_LINK_ENDED).exists() is falls


def test_who_leaves_keeps_the_contact_that_tells_them(mailbox, lock_world, found):
    member, (_binding, finder) = lock_world.member, found
    add(finder, mailbox)
    lock_world.admin.set_password(PASSWORD)
    lock_world.admin.save()
    admin = page_client("shanxi", lock_world.admin)
    assert admin.post(f"/system/members/{member.pk}/leave/", {"reason": "合同到期", "password": PASSWORD}).status_code == 302
    before = len(mailbox.mails)
    background()
    assert [one["X-Envelope-To"] for one in mailbox.mails[before:]].count(MAIL) >= 1


def test_a_lock_that_a_finder_binds_by_a_password_of_their_own_is_told_at_once(mailbox, lock_world, found):
    member, (_binding, finder) = lock_world.member, found
    contact(member, "own@supplier.example")
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    later = Browser(host=finder.defaults["HTTP_HOST"])
    later.client.defaults.update(finder.defaults)
    assert later.client.post("/login/", {"username": member.username, "password": NEW}).status_code == 302
    assert later.bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    background()
    assert any("SX-0003" in text_of(one) for one in mailbox.mails if one["X-Envelope-To"] == "own@supplier.example")


def test_what_a_finder_makes_with_a_lock_that_the_found_one_bound_ends_too_and_that_lock_is_named(mailbox, lock_world, found):
    """Also to a contact that the finder had taken away before."""
    member, (binding, finder) = lock_world.member, found
    contact(member, "own@supplier.example")
    assert finder.post(f"/contacts/{Contact.objects.get().pk}/remove/").status_code == 302
    assert in_hand(lock_of(0)).bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    second = in_hand(lock_of(2)).client
    add(second, mailbox)
    assert second.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    background()
    assert "SX-0003 仍可登录" in page_client("shanxi", member).get(f"/system/ca/{binding.pk}/suspend/").content.decode()
    suspend_lock(binding=binding.pk, reason="", by=member, context=context(account=member))
    background()
    assert [one.value for one in Contact.objects.all()] == ["own@supplier.example"]
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username=member.username, password=NEW, context=context())
    told = [text_of(one) for one in mailbox.mails if one["X-Envelope-To"] == "own@supplier.example"]
    assert any("近 30 天内凭它绑定的 CA 锁 SX-0003 仍可登录" in text for text in told)
    assert Browser().log_in(lock_of(2)).status_code == 200  # an honest spare would be shut out with it


def test_who_left_and_comes_back_is_opened_by_nothing_that_a_lock_brought(mailbox, lock_world, found, stranger):
    member, (_binding, finder) = lock_world.member, found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    add(finder, mailbox)
    lock_world.admin.set_password(PASSWORD)
    lock_world.admin.save()
    admin = page_client("shanxi", lock_world.admin)
    assert admin.post(f"/system/members/{member.pk}/leave/", {"reason": "合同到期", "password": PASSWORD}).status_code == 302
    (left,) = Notice.objects.filter(account=member, created_at__gte=AuditEvent.objects.get(event=Event.ACCOUNT_LEFT).at)
    assert "1 把 CA 锁已解除绑定" in words_of(left).text
    assert "凭它设置的登录密码已失效" in words_of(left).text
    assert admin.post(f"/system/members/{member.pk}/", {"step": "enable"}).status_code == 302
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username=member.username, password=NEW, context=context())
    background()
    before = len(mailbox.mails)
    ask(stranger, member.username)
    background()
    assert not any("重置账户密码" in text_of(one) for one in mailbox.mails[before:])


def test_one_report_is_one_notice_whatever_ended_with_the_lock(mailbox, lock_world, found):
    member, (binding, finder) = lock_world.member, found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    contact(member, "own@supplier.example")
    suspend_lock(binding=binding.pk, reason="", by=lock_world.admin, context=context(account=lock_world.admin))
    background()
    number = AuditEvent.objects.get(event="binding:lock:suspended").number
    (notice,) = (one for one in Notice.objects.filter(account=member) if one.facts["number"] == number)
    told = words_of(notice)
    assert "由本单位管理员王管理挂失，不能再登录。" in told.text
    assert "凭它设置的登录密码已失效，请重新设置。" in told.text
    assert told.page == "password"
    assert len([one for one in mailbox.to("own@supplier.example") if number in text_of(one)]) == 1


def test_a_contact_that_a_lock_took_away_goes_on_learning_what_is_done_for_30_days(mailbox, lock_world, found):
    """Where it was a finder: the person learns of the lock that the finder binds next. The mail of the removal says so."""
    member, own = lock_world.member, "own@supplier.example"
    contact(member, own, age=REACH)
    assert found[1].post(f"/contacts/{Contact.objects.get().pk}/remove/").status_code == 302
    assert in_hand(lock_of(0)).bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    background()
    told = [text_of(one) for one in mailbox.to(own)]
    assert any("此后 30 天内，CA 锁绑定和密码的变更仍会通知该联系方式。" in text for text in told)
    assert any("绑定了 CA 锁 SX-0003" in text for text in told)
    Contact.objects.update(removed_at=timezone.now() - timedelta(days=31))
    assert in_hand(lock_of(0)).bind(lock_of(3), member, choice={"act": "another"}).status_code == 200
    background()
    assert not any("SX-0004" in text_of(one) for one in mailbox.to(own))


def test_a_thief_s_contact_that_the_person_s_lock_took_away_learns_of_that_and_of_nothing_later(mailbox, lock_world, found):
    member = lock_world.member
    member.set_password(PASSWORD)
    member.save()
    add(page_client("shanxi", member), mailbox, "own@thief.example")
    assert found[1].post(f"/contacts/{Contact.objects.get().pk}/remove/").status_code == 302
    assert in_hand(lock_of(0)).bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    background()
    told = [text_of(one) for one in mailbox.to("own@thief.example")]
    assert any("移除了联系方式" in text for text in told)
    assert not any("此后 30 天内" in text or "SX-0003" in text for text in told)


def test_a_contact_that_is_verified_anew_is_told_once_of_each_thing(mailbox, lock_world, found):
    """It is not taken for one that was removed, opens what it opened before, and is no younger unless it was in doubt."""
    member, (binding, finder) = lock_world.member, found
    contact(member, MAIL, age=REACH)
    for doubt in (None, binding.lock_id):
        Contact.objects.update(removed_by_lock=doubt)
        add(finder, mailbox)
        assert Contact.objects.get().by_lock == doubt
    assert in_hand(lock_of(0)).bind(lock_of(2), member, choice={"act": "another"}).status_code == 200
    background()
    told = [text_of(one) for one in mailbox.to(MAIL)]
    assert not any("移除了联系方式" in text for text in told)
    assert [text.count("绑定了 CA 锁 SX-0003") for text in told].count(1) == 1
    assert Contact.objects.opening().filter(account=member).count() == 1
