"""联系方式: proved by a code before anything else is sent there, readable by nobody else, removable, gone with the account."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from server.messaging.conftest import MAIL, PHONE, add, background
from worlds.browser import context, page_client
from worlds.mail import text_of
from worlds.rows import PASSWORD, account, operator

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import AccountState
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact, ContactCode
from calock.server.contacts.services import rekey_contacts
from calock.server.contacts.values import ContactKind, normalised
from calock.server.jobs.rekeying import rekey
from calock.server.locks.erasure import erase_account
from calock.server.messaging.recovery import ask_for_code
from calock.server.messaging.sending import sweep_contacts
from calock.server.messaging.verifying import add_contact, verify_contact
from calock.server.outbox.models import Message
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def test_a_contact_counts_after_its_code_came_back_and_its_person_is_told_there(browser, mailbox, person):
    add(browser, mailbox)
    page = browser.get("/contacts/").content.decode()
    assert "z***@supplier.example" in page
    assert MAIL not in page
    background()
    (told,) = (one for one in mailbox.to(MAIL) if "安全提醒" in one["Subject"])
    assert "添加了联系方式 z***@supplier.example" in text_of(told)
    assert told["Subject"] == "【山西政府采购平台】安全提醒"
    assert told["Auto-Submitted"] == "auto-generated"
    assert AuditEvent.objects.get(event="account:contact:verified").details["contact"] == "z***@supplier.example"


def test_nothing_of_a_contact_stands_readable_in_any_table(browser, mailbox, gateway, person):
    add(browser, mailbox)
    add(browser, gateway, PHONE, "phone")
    background()
    code = ContactCode.objects.first().digits
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            text = str(cursor.fetchall())
            assert MAIL not in text, table
            assert PHONE not in text, table
            assert code not in text, table


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("mail", "zhang@supplier.example\r\nBcc: other@example.cn"),
        ("mail", "张三@supplier.example"),
        ("mail", "zhang@"),
        ("mail", f"{'a' * 250}@b.cn"),
        ("mail", "zhang@supplier.example, other@example.cn"),
        ("mail", "root@localhost"),
        ("mail", "root@mail.LOCALHOST"),
        ("mail", "root@[127.0.0.1]"),
        ("mail", "root@10.0.0.10"),
        ("phone", "12812345678"),
        ("phone", "0351-1234567"),
        ("phone", "138123456789"),
    ],
)
def test_what_is_no_address_and_no_number_is_refused(kind, text):
    assert normalised(ContactKind(kind), text) is None


def test_numbers_are_one_number_however_they_are_written():
    assert {normalised(ContactKind.PHONE, text) for text in (PHONE, "+86 138 1234 5678", "0086-138-1234-5678")} == {PHONE}


def test_a_code_is_guessed_five_times_and_used_once_and_in_its_time(browser, mailbox, person):
    made = add_contact(account=person, kind="mail", text=MAIL, password=PASSWORD, language="en", context=context(account=person))
    code = ContactCode.objects.get()

    def typed(text: str, **more: object) -> Reason | None:
        try:
            verify_contact(account=person, contact=made.pk, typed=text, context=context(account=person, **more))
        except Refusal as refusal:
            return refusal.reason
        return None

    for _ in range(5):
        assert typed("00000000") == Reason.CODE_WRONG
    assert typed(code.digits) == Reason.CODE_WRONG
    ContactCode.objects.update(tries=0)
    assert typed(code.digits, at=timezone.now() + timedelta(minutes=16)) == Reason.CODE_WRONG
    ContactCode.objects.update(mac="")  # somebody wrote it
    assert typed(code.digits) == Reason.RECORD_DAMAGED
    ContactCode.objects.update(mac=code.mac)
    assert typed(f" {code.digits[:4]} {code.digits[4:]} ") is None
    assert typed(code.digits) == Reason.NOT_FOUND
    assert AuditEvent.objects.filter(event="account:contact:refused", reason="CODE_WRONG").count() == 7


def test_codes_are_not_asked_for_without_end_about_an_account_or_a_contact_or_from_an_address(mailbox, person):
    def asked(who: str, value: str, ip: str) -> Reason | None:
        try:
            if not value:
                ask_for_code(username=who, kind="mail", language="en", context=context(ip=ip))
            else:
                member = account(who, "李四", password=PASSWORD) if who != person.username else person
                given = {"kind": "mail", "text": value, "password": PASSWORD, "language": "en"}
                add_contact(account=member, **given, context=context(account=member, ip=ip))
        except Refusal as refusal:
            return refusal.reason
        return None

    of_account = [asked("zhangsan", f"{place}@a.example", f"192.0.2.{place}") for place in range(6)]
    of_contact = [asked(f"b{place}", "one@b.example", f"198.51.100.{place}") for place in range(6)]
    of_office = [asked(f"c{place}", f"{place}@c.example", "203.0.113.1") for place in range(21)]
    assert not any(of_office)  # colleagues who logged in
    of_address = [asked(f"d{place}", "", "203.0.113.1") for place in range(21)]
    for answers in (of_account, of_contact, of_address):
        assert answers[-1] == Reason.TOO_MANY_CODES
        assert not any(answers[:-1])


def test_another_account_s_contact_is_not_there_and_an_old_proof_does_not_do(browser, mailbox, person):
    add(browser, mailbox)
    row = Contact.objects.get()
    other = page_client("shanxi", account("lisi", "李四"))
    assert other.post(f"/contacts/{row.pk}/remove/").status_code == 404
    assert other.post(f"/contacts/{uuid.uuid4()}/verify/", {"code": "1"}).status_code == 404
    Session.objects.update(authenticated_at=timezone.now() - timedelta(minutes=6))
    for path, sent in (("add/", {"kind": "mail", "value": "x@y.example"}), (f"{row.pk}/remove/", {})):
        answer = browser.post(f"/contacts/{path}", sent)
        assert answer.headers["Location"].startswith("/confirm/")
    assert Contact.objects.verified().count() == 1


def test_a_session_alone_adds_no_contact(browser, mailbox, person):
    assert "当前密码" in browser.get("/contacts/").content.decode()
    for typed in ({}, {"password": "falsch-und-falsch"}):
        answer = browser.post("/contacts/add/", {"kind": "mail", "value": "mine@thief.example", **typed})
        assert answer.status_code == 403
    assert "登录密码不正确，请重新输入。连续输错 5 次后，15 分钟内不再接受密码，还剩 3 次" in answer.content.decode()
    assert browser.post("/contacts/add/", {"kind": "mail", "value": MAIL, "password": PASSWORD}).status_code == 302
    assert browser.post("/contacts/add/", {"kind": "mail", "again": "1"}).status_code == 302  # the same contact, another code
    background()
    assert {one["X-Envelope-To"] for one in mailbox.mails} == {MAIL}
    assert set(AuditEvent.objects.filter(event="account:contact:refused").values_list("reason", flat=True)) == {"STEP_UP_FAILED"}


def test_a_removed_contact_learns_of_that_and_of_nothing_later_then_it_is_forgotten(browser, mailbox, person):
    add(browser, mailbox)
    background()
    row = Contact.objects.get()
    assert browser.post(f"/contacts/{row.pk}/remove/").status_code == 302
    background()
    assert any("移除了联系方式" in text_of(one) for one in mailbox.to(MAIL))
    before = len(mailbox.mails)
    add(browser, mailbox, "new@supplier.example")
    background()
    assert len(mailbox.to(MAIL)) == before
    sweep_contacts(at=timezone.now() + timedelta(days=4))
    assert [one.value for one in Contact.objects.all()] == ["new@supplier.example"]


def test_a_new_contact_takes_the_place_of_the_former_one_which_is_told(browser, mailbox, person):
    add(browser, mailbox)
    add(browser, mailbox, "new@supplier.example")
    background()
    assert [one.value for one in Contact.objects.verified()] == ["new@supplier.example"]
    assert any("移除了联系方式 z***@supplier.example" in text_of(one) for one in mailbox.to(MAIL))


def test_where_no_channel_is_configured_no_page_offers_one(person):
    browser = page_client("shanxi", person)
    page = browser.get("/contacts/").content.decode()
    assert "平台暂未开通邮件和短信" in page
    assert "/contacts/add/" not in page
    assert "/password/forgotten/" not in browser.get("/password/code/").content.decode()
    assert browser.post("/contacts/add/", {"kind": "mail", "value": MAIL, "password": PASSWORD}).status_code == 503
    assert page_client("zcy").get("/password/forgotten/").status_code == 503


def test_a_person_takes_their_contacts_along_and_erasing_them_erases_these(browser, mailbox, person):
    add(browser, mailbox)
    page = browser.get("/personal-data/").content.decode()
    assert "z***@supplier.example" in page
    assert MAIL not in page  # which asks for no proof of the last minutes, as the copy does
    told = browser.get("/personal-data/download/?format=json").json()
    assert [row["内容"] for row in told["联系方式"]] == [MAIL]
    person.state = AccountState.DISABLED
    person.save()
    erase_account(member=person, by=operator("op1"), context=None)
    background()
    assert not Contact.objects.exists()
    assert not Message.objects.waiting().exists()


def test_a_change_of_the_secret_keeps_contacts_readable_and_codes_usable(browser, mailbox, person, settings):
    add(browser, mailbox)
    given = {"kind": "mail", "text": "new@b.example", "password": PASSWORD, "language": "en"}
    add_contact(account=person, **given, context=context(account=person))
    code = ContactCode.objects.order_by("-created_at").first()
    sent = code.digits
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-secret-of-more-than-32-characters"
    assert code.is_right(sent, at=timezone.now())
    assert [found.done for found in rekey() if found.what == "contacts"] == [2]
    settings.SECRET_KEY_FALLBACKS = []
    assert {row.value for row in Contact.objects.all()} == {MAIL, "new@b.example"}
    assert rekey_contacts().done == 0


@pytest.mark.postgresql  # which looks for no NUL
def test_a_code_for_a_contact_of_no_kind_is_refused(browser, mailbox):
    answer = browser.post("/contacts/add/", {"kind": "a\0b", "again": "1"})
    assert answer.status_code == 503
    assert not Contact.objects.exists()
