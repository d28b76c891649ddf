"""忘记密码 by a verified contact: nobody learns from it who has an account, and it opens none that the rules keep closed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from server.messaging.conftest import MAIL, add, background
from server.messaging.test_delivery import contact
from worlds.browser import Browser, bound, context, logged_in, page_client
from worlds.mail import text_of
from worlds.practice import make_lock
from worlds.rows import PASSWORD, account

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.codes import choose_password
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.services import reset_password
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact, ContactCode
from calock.server.locks.password_rules import refuse_password_after_reset
from calock.server.locks.step_up import Evidence
from calock.server.locks.suspension import suspend_lock
from calock.server.locks.unbinding import unbind_by_operators, unbind_lock
from calock.server.login.services import login_with_password
from calock.server.messaging.sending import sweep_contacts
from calock.server.notices.models import Notice, NoticeKind
from calock.server.outbox.models import Message
from calock.server.sessions.models import Session
from calock.server.tools import clock

pytestmark = pytest.mark.django_db
NEW = "Xin-Mi-Ma-2026-abc"
PAGE = "/password/forgotten/"


def ask(client, username: str = "zhangsan", kind: str = "mail"):
    return client.post(PAGE, {"step": "ask", "username": username, "kind": kind})


def reset(client, code: str, username: str = "zhangsan", new: str = NEW):
    return client.post(PAGE, {"step": "reset", "username": username, "code": code, "new": new, "again": new})


@pytest.fixture
def stranger():
    return page_client("shanxi")


def test_a_forgotten_password_is_chosen_anew_with_a_code_that_is_used_once(mailbox, person, stranger):
    contact(person)
    elsewhere = logged_in(person)
    assert ask(stranger).status_code == 302
    background()
    code = mailbox.code(MAIL)
    assert reset(stranger, code, new="short").status_code == 400
    assert reset(stranger, f"{code[:4]} {code[4:]}").headers["Location"] == f"{PAGE}?done"
    assert elsewhere.client.get("/sessions/").status_code == 302
    login_with_password(username="zhangsan", password=NEW, context=context())
    assert reset(stranger, code, new=NEW + "x").status_code == 401
    background()
    assert any("您的密码于" in text_of(one) for one in mailbox.to(MAIL))
    assert Notice.objects.filter(account=person, kind=NoticeKind.PASSWORD_RESET).exists()
    row = AuditEvent.objects.get(event="account:password:chosen")
    assert row.details["contact"] == "z***@supplier.example"


def shapes(asked: CaptureQueriesContext) -> tuple[str, ...]:
    """The statements without their values, however many stand in a list."""
    plain = [re.sub(r"('[^']*'|\d+|NULL)(::\w+)?", "?", row["sql"]) for row in asked.captured_queries]
    assert plain
    return tuple(re.sub(r"\(\?(, \?)*\)", "(?)", sql) for sql in plain)


def test_every_name_gets_the_same_words_and_the_same_statements(mailbox, person, stranger):
    contact(person)
    account("nobody", "无联系方式")
    answers, statements, guesses = set(), set(), set()
    for name in ("zhangsan", "nobody", "does-not-exist"):
        with CaptureQueriesContext(connection) as asked:
            answer = ask(stranger, name)
        statements.add(shapes(asked))
        assert answer.status_code == 302
        page = stranger.get(answer.headers["Location"]).content.decode()
        answers.add(re.sub(r'value="[^"]*"', "", page))
        background()
        with CaptureQueriesContext(connection) as guessed:
            assert reset(stranger, "12345678", name).status_code == 401
        guesses.add(shapes(guessed))
    assert len(answers) == len(statements) == len(guesses) == 1
    assert len(mailbox.mails) == 1
    assert set(AuditEvent.objects.filter(event="account:password:refused").values_list("reason", flat=True)) == {"CODE_WRONG"}


def test_a_stranger_s_guesses_and_requests_take_nothing_from_the_person(mailbox, person, stranger):
    contact(person)
    ask(stranger)
    background()
    code = mailbox.code(MAIL)
    thief = page_client("shanxi")
    ask(thief)
    for _ in range(8):
        assert reset(thief, "00000000").status_code == 401
    assert reset(thief, code).status_code == 401
    assert reset(page_client("shanxi"), code).status_code == 401
    assert reset(stranger, code).status_code == 302


def test_a_code_is_guessed_five_times(mailbox, person, stranger):
    contact(person)
    ask(stranger)
    background()
    for _ in range(5):
        reset(stranger, "00000000")
    assert reset(stranger, mailbox.code(MAIL)).status_code == 401


def test_nobody_s_mailbox_is_flooded(mailbox, person, stranger):
    contact(person)
    answers = [ask(page_client("shanxi")).status_code for _ in range(7)]
    assert answers == [302] * 5 + [429] * 2
    background()
    assert len(mailbox.mails) == 5
    known = page_client("shanxi", person)
    known.cookies.update(stranger.cookies)
    browser = Browser()
    browser.client.post("/login/", {"username": "zhangsan", "password": PASSWORD}, headers={"origin": f"http://{browser.host}"})
    answer = browser.client.post(
        PAGE, {"step": "ask", "username": "zhangsan", "kind": "mail"}, headers={"origin": f"http://{browser.host}"}
    )
    assert answer.status_code == 302  # a browser that the person used has a count of its own


def test_whoever_logged_in_as_somebody_else_has_no_count_of_their_own(mailbox, person):
    contact(person)
    account("other", "旁人", password=PASSWORD)
    answers = []
    for _ in range(3):
        browser = Browser()
        own = {"origin": f"http://{browser.host}"}
        assert browser.client.post("/login/", {"username": "other", "password": PASSWORD}, headers=own).status_code == 302
        asked = {"step": "ask", "username": "zhangsan", "kind": "mail"}
        answers += [browser.client.post(PAGE, asked, headers=own).status_code for _ in range(3)]
    assert answers == [302] * 5 + [429] * 4


def test_a_mailbox_that_several_accounts_share_gets_no_more_codes_than_another(mailbox, person):
    for name in ("first", "second", "third"):
        contact(account(name, "同事"))
        for _ in range(3):
            assert ask(page_client("shanxi"), name).status_code == 302
    background()
    assert len(mailbox.mails) == 5
    assert AuditEvent.objects.filter(event="outbox:message:given_up").count() == 4


@pytest.mark.parametrize("why", ["operator", "disabled", "removed", "unverified"])
def test_who_may_not_be_opened_so_gets_no_code(mailbox, person, stranger, why):
    row = contact(person)
    if why == "operator":
        person = account("yunying", "运营", Role.OPERATOR)
        Contact.objects.all().delete()
        contact(person)
    elif why == "disabled":
        Account.objects.filter(pk=person.pk).update(state=AccountState.DISABLED)
    elif why == "removed":
        Contact.objects.update(removed_at=clock.now())
    else:
        Contact.objects.filter(pk=row.pk).update(verified_at=None)
    assert ask(stranger, person.username).status_code == 302
    background()
    assert mailbox.mails == []
    assert not ContactCode.objects.exists()
    assert not Message.objects.waiting().exists()


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_account_that_goes_by_its_lock_alone_is_opened_by_no_code(mailbox, lock_world, stranger, when):
    member = lock_world.member
    contact(member)
    bound(make_lock(), member)
    if when == "before":
        Account.objects.filter(pk=member.pk).update(lock_only=True)
    ask(stranger)
    background()
    if when == "before":
        assert "只能用 CA 锁登录" in text_of(mailbox.mails[-1])
        assert not ContactCode.objects.exists()
        return
    code = mailbox.code(MAIL)
    Account.objects.filter(pk=member.pk).update(lock_only=True)
    assert reset(stranger, code).status_code == 401


def test_the_new_password_proves_nothing_about_the_account_s_locks_for_a_day(mailbox, lock_world, stranger):
    member = lock_world.member
    contact(member)
    bound(make_lock(), member)
    ask(stranger)
    background()
    assert reset(stranger, mailbox.code(MAIL)).status_code == 302
    member.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        refuse_password_after_reset(member, at=clock.now())
    assert refused.value.reason == Reason.PASSWORD_RESET_LATELY


@pytest.fixture
def found(lock_world):
    """A bound lock, and the browser of who found it and knows its PIN: binding and browser."""
    lock = make_lock()
    binding = bound(lock, lock_world.member)
    plain = page_client("shanxi")
    finder = Browser(host=plain.defaults["HTTP_HOST"])
    assert finder.log_in(lock).status_code == 200
    finder.client.defaults.update(plain.defaults)
    return binding, finder.client


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


def test_who_takes_the_account_back_ends_the_codes_that_others_have(mailbox, person, stranger):
    contact(person)
    given = reset_password(member=person, by=None, context=None)
    other = page_client("shanxi")
    for browser in (other, stranger):
        ask(browser)
        background()
    first, second = (code.digits for code in ContactCode.objects.order_by("created_at"))
    assert reset(stranger, second).status_code == 302
    assert reset(other, first).status_code == 401
    with pytest.raises(Refusal, match=Reason.PASSWORD_CODE_WRONG):
        choose_password(username="zhangsan", code=given, new=NEW + "x", context=context())


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
    words = "已移除联系方式 z***@supplier.example。已恢复联系方式 o***@supplier.example。"
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
    assert Notice.objects.filter(account=lock_world.member, kind=NoticeKind.ENDED_WITH_LOCK).exists()


def test_a_finder_does_not_unbind_the_lock_to_keep_the_password_that_it_chose(lock_world, found):
    binding, finder = found
    assert finder.post("/password/", {"current": "", "new": NEW, "again": NEW}).status_code == 302
    member = lock_world.member
    member.refresh_from_db()
    with pytest.raises(Refusal, match=Reason.LAST_LOCK):
        unbind_lock(binding=binding.pk, reason="换锁", evidence=Evidence(password=NEW), by=member, context=context(account=member))


def test_a_login_is_told_when_browser_and_network_are_both_new(person):
    def enter(ip: str, client=None):
        browser = client or Browser(ip=ip)
        answer = browser.client.post(
            "/login/", {"username": "zhangsan", "password": PASSWORD}, headers={"origin": f"http://{browser.host}"}
        )
        assert answer.status_code == 302
        return browser

    def told() -> int:
        return Notice.objects.filter(account=person, kind=NoticeKind.NEW_PLACE).count()

    home = enter("192.0.2.7")
    assert told() == 0  # the first one ever
    enter("192.0.2.99")
    assert told() == 0  # the same network
    home.client.defaults["REMOTE_ADDR"] = "203.0.113.5"
    enter("", home)
    assert told() == 0  # the same browser, travelling
    enter("198.51.100.1")
    assert told() == 1
    enter("2001:db8:1:2::3")
    enter("2001:db8:1:9::3")
    assert told() == 2
    assert Session.objects.filter(account=person).count() == 6
