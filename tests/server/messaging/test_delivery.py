"""Notices reach their person's contacts: once each, in their language, by servers that are down, slow or lying."""

from __future__ import annotations

import dataclasses
import re
import time
from datetime import timedelta

import pytest
from django.utils import timezone
from server.messaging.conftest import MAIL, PHONE, add, background
from serving import free_port
from worlds.browser import page_client
from worlds.mail import named, speaking, text_of
from worlds.races import in_parallel
from worlds.rows import PASSWORD, account

from calock.server.accounts.models import Role
from calock.server.contacts.models import Contact
from calock.server.messaging import mail
from calock.server.messaging.letters import Letter
from calock.server.messaging.sending import MOST_NOTICES, forward_notices
from calock.server.notices.models import Notice, NoticeKind
from calock.server.notices.words import words_of
from calock.server.outbox.kinds import GiveUpError
from calock.server.outbox.models import Message
from calock.server.tools import clock

pytestmark = pytest.mark.django_db


def contact(
    person, value: str = MAIL, kind: str = "mail", language: str = "zh-hans", site: str = "shanxi", age: timedelta = timedelta()
) -> Contact:
    added = timezone.now() - age
    made = Contact(account=person, kind=kind, site=site, language=language, added_at=added, verified_at=added)
    made.value = value
    made.save()
    return made


FACTS = {"lock": "SX-0001", "contact": "z***@x", "address": "192.0.2.1", "provider": "山西 CA", "until": "2027-01-01", "locks": "1"}


def notice(person, kind: NoticeKind = NoticeKind.PASSWORD_RESET, **facts: str) -> Notice:
    facts = {"by_role": "operator", "number": "261129-AAAA-BBBB-CCCC", **facts}
    return Notice.objects.create(account=person, kind=kind, facts=facts, created_at=timezone.now())


def test_a_row_is_enough_for_one_message_to_each_contact_in_its_language_and_its_site_s_name(mailbox, gateway, person):
    contact(person, language="en", site="zcy")
    contact(person, PHONE, "phone")
    notice(person)
    other = account("lisi", "李四")
    contact(other, "lisi@supplier.example")
    for _ in range(3):
        background()
    (told,) = mailbox.mails
    assert told["X-Envelope-To"] == MAIL
    assert "Your password was reset" in text_of(told)
    assert "261129-AAAA-BBBB-CCCC" in text_of(told)
    assert "http://" in text_of(told)
    (sms,) = gateway.got
    assert sms["to"] == PHONE
    assert sms["text"].startswith("【山西政府采购平台】您的密码于")
    assert sms["template"] == "notice"
    assert gateway.tokens == ["Bearer the-token"]


def test_whoever_leaves_is_told_where_they_can_still_be_reached(mailbox, person):
    admin = account("boss", "王主任", organisation=person.organisation, role=Role.ORGANISATION_ADMIN, password=PASSWORD)
    by, address = page_client("shanxi", admin), f"/system/members/{person.pk}/leave/"
    assert "请您告知" in by.get(address).content.decode()
    contact(person)
    assert "会收到邮件或短信" in by.get(address).content.decode()
    by.post(address, {"reason": "合同到期", "password": PASSWORD})
    background()
    (told,) = mailbox.mails
    assert "办理离职" in text_of(told)
    assert "登录后在消息中心" not in text_of(told)


def test_every_kind_of_notice_has_words_that_can_be_sent(mailbox, person):
    contact(person)
    for kind in NoticeKind:
        notice(person, kind, **FACTS)
    background()
    assert len(mailbox.mails) == len(NoticeKind)
    assert not any("%(" in text_of(one) for one in mailbox.mails)


def test_a_notice_of_a_newer_version_shuts_nobody_out_and_waits_for_it(mailbox, person):
    contact(person)
    newer = notice(person, "of_a_newer_version")
    notice(person)
    browser = page_client("shanxi", person)
    for page in ("/sessions/", "/notices/", "/personal-data/", "/personal-data/download/?format=json"):
        assert browser.get(page).status_code == 200
    background()
    assert len(mailbox.mails) == 1
    assert Notice.objects.get(forwarded_at=None) == newer


def test_whoever_is_told_much_in_an_hour_is_told_once_that_there_is_more(mailbox, person):
    contact(person)
    for _ in range(MOST_NOTICES + 5):
        notice(person, NoticeKind.MOVED, value="别家")
    notice(person, NoticeKind.LOCK_SUSPENDED, **FACTS)
    background()
    assert len(mailbox.mails) == MOST_NOTICES + 2
    assert any("较多提醒" in text_of(one) for one in mailbox.mails)
    assert any("挂失" in text_of(one) for one in mailbox.mails)  # what opens or closes the account is never held back
    assert Notice.objects.filter(account=person).count() == MOST_NOTICES + 6


@pytest.mark.parametrize("kind", NoticeKind)
def test_what_lets_somebody_in_is_never_held_back(mailbox, person, kind):
    contact(person)
    for _ in range(MOST_NOTICES):
        notice(person, NoticeKind.MOVED, value="别家")
    told = notice(person, kind, **FACTS)
    background()
    words = words_of(told).text
    if re.search("可以登录您的账户|登录方式|密码于|联系方式", words):
        assert any(words in " ".join(text_of(one).split()) for one in mailbox.mails)


def test_notices_of_a_long_day_are_all_sent(mailbox, person, monkeypatch):
    contact(person)
    now = clock.database_now()
    for place in range(MOST_NOTICES + 5):
        notice(person, NoticeKind.MOVED, value="别家")
        monkeypatch.setattr("calock.server.tools.clock.database_now", lambda place=place: now + timedelta(minutes=50 * place))
        forward_notices()
    assert Message.objects.count() == MOST_NOTICES + 5


def test_a_name_with_line_ends_begins_no_header(mailbox, person):
    contact(person)
    notice(person, NoticeKind.MOVED, value="别家\r\nBcc: other@example.cn", by_name="张\nX: y")
    background()
    (told,) = mailbox.mails
    assert told["Bcc"] is None
    assert set(told.keys()) >= {"Subject", "From", "To", "Message-ID"}
    assert told["X"] is None


def letter(to: str = MAIL) -> Letter:
    return Letter("one", to, "平台", "主题", ("文",), "短", "notice", {})


@pytest.mark.parametrize(
    ("says", "for_good"),
    [
        ({"RCPT": "550 5.1.1 <ZHANG@Supplier.example>: no such user"}, True),
        ({"RCPT": "450 zhang@supplier.example: later"}, False),
        ({"DATA": "554 spam"}, True),
        ({"DATA": "451 try later"}, False),
    ],
)
def test_a_mail_that_is_refused_for_good_is_given_up_and_one_refused_for_now_is_not(mailbox, says, for_good):
    mailbox.says.update(says)
    with pytest.raises(RuntimeError) as refused:
        mail.send(letter())
    assert isinstance(refused.value, GiveUpError) == for_good
    assert "supplier" not in str(refused.value).lower()  # nothing that the server wrote: it may repeat the address in its own way
    assert re.fullmatch("the mail server answered [45][0-9]{2}( 5.1.1)?", str(refused.value))


GREETING = b"220 mail.example ESMTP\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        (b"",),
        (b"554 go away\r\n",),
        (b"\xff\xfe\x00 rubbish\r\n",),
        (b"2" * 10_000,),
        (GREETING, b"250 hi\r\n", b"999 what\r\n"),
        (GREETING, b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"),  # takes the mail and cuts before it says so
    ],
)
def test_a_server_that_cuts_or_talks_rubbish_loses_nothing(settings, lines):
    with speaking(*lines) as port:
        settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=named(port, seconds=2))
        with pytest.raises(RuntimeError) as refused:
            mail.send(letter())
    assert not isinstance(refused.value, GiveUpError)


@pytest.mark.parametrize("lines", [(b"",), (b"220 ",), (GREETING, b"250-hi\r\n")], ids=["silent", "half a line", "half an answer"])
def test_a_server_that_hangs_is_left_after_the_time_that_is_set(settings, lines):
    with speaking(*lines, then_hang=True) as port:
        settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=named(port, seconds=1))
        begun = time.monotonic()
        with pytest.raises(RuntimeError):
            mail.send(letter())
        assert time.monotonic() - begun < 30  # smtplib alone would wait for ever


def test_a_server_whose_answer_never_ends_fills_no_memory(settings):
    with speaking(GREETING, b"250-mail.example\r\n" * 100_000) as port:
        settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=named(port, seconds=20))
        with pytest.raises(RuntimeError, match="more octets"):
            mail.send(letter())


def test_what_a_server_says_after_it_took_the_mail_has_it_sent_no_second_time(settings):
    taken = (
        GREETING,
        b"250 hi\r\n",
        b"250 ok\r\n",
        b"250 ok\r\n",
        b"354 go on\r\n",
        b"250 taken\r\n",
        b"221 " + b"y" * 9000 + b"\r\n",
    )
    with speaking(*taken) as port:
        settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=named(port, seconds=5))
        mail.send(letter())


def test_a_server_without_starttls_gets_no_mail_where_it_is_demanded(mailbox, settings):
    server = dataclasses.replace(settings.CALOCK.mail, starttls=True)
    settings.CALOCK = dataclasses.replace(settings.CALOCK, mail=server)
    with pytest.raises(RuntimeError, match="STARTTLS"):
        mail.send(letter())
    assert mailbox.mails == []


def test_what_a_dead_mail_server_did_not_take_goes_out_when_it_is_back(mailbox, person, settings):
    contact(person)
    notice(person)
    back = settings.CALOCK
    settings.CALOCK = dataclasses.replace(back, mail=named(free_port()))
    background()
    waiting = Message.objects.waiting().get()
    assert waiting.attempts == 1
    assert MAIL not in waiting.last_error
    settings.CALOCK = back
    background()
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("status", "answer", "open_after"),
    [
        (200, b'{"accepted": false, "reason": "138-1234-5678 is blocked"}', False),
        (422, b"", False),
        (200, b"<html>ok</html>", True),
        (200, b'{"accepted": "yes"}', True),
        (200, b"[" * 100_000, True),
        (200, b'"' + b"x" * 300_000, True),
        (302, b"", True),
        (500, b"", True),
    ],
)
def test_only_the_gateway_s_own_word_says_that_a_text_message_was_sent(gateway, person, status, answer, open_after):
    contact(person, PHONE, "phone")
    notice(person)
    gateway.status, gateway.answer = status, answer
    background()
    row = Message.objects.get()
    assert row.done_at is None
    assert (row.failed_at is None) == open_after
    assert "5678" not in row.last_error


@pytest.mark.django_db(transaction=True)
def test_two_machines_leave_one_message_for_a_notice_and_contact(mailbox, person):
    contact(person)
    for _ in range(20):
        notice(person)
    in_parallel([forward_notices] * 2)
    forward_notices()
    assert Message.objects.count() == 20


def test_a_contact_that_is_not_verified_gets_no_notice(browser, mailbox, person):
    browser.post("/contacts/add/", {"kind": "mail", "value": MAIL, "password": PASSWORD})
    notice(person)
    background()
    (only,) = mailbox.mails
    assert "验证码为" in text_of(only)


def test_each_person_sees_their_own_messages_and_how_many_are_unread_in_the_header_of_both_sites(person):
    other = account("lisi", "李四")
    notice(other, NoticeKind.MOVED, value="秘密单位")
    for _ in range(25):
        notice(person)
    for site in ("shanxi", "zcy"):
        browser = page_client(site, person)
        page = browser.get("/notices/").content.decode()
        assert '<span class="count">25</span>' in page
        assert "秘密单位" not in page
        assert page.count('class="unread"') == 20
        assert browser.get("/notices/?page=2").content.decode().count('class="unread"') == 5
    assert browser.post(f"/notices/{Notice.objects.filter(account=other).get().pk}/dismiss/").status_code == 404
    assert browser.post("/notices/read/").status_code == 302
    assert 'class="count"' not in browser.get("/notices/").content.decode()
    assert Notice.objects.open_for(other.pk).count() == 1


def test_a_contact_added_on_a_page_hears_of_an_administrator_s_act(browser, mailbox, person):
    add(browser, mailbox)
    notice(person, NoticeKind.LOCK_SUSPENDED, lock="SX-0001", by_role="operator")
    background()
    assert any("CA 锁 SX-0001" in text_of(one) for one in mailbox.to(MAIL))
