"""忘记密码 by a verified contact: nobody learns from it who has an account, and it opens none that the rules keep closed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from server.messaging.conftest import MAIL, background
from server.messaging.test_delivery import contact
from worlds.browser import Browser, bound, context, logged_in, page_client
from worlds.mail import text_of
from worlds.practice import make_lock
from worlds.rows import PASSWORD, account

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import sealed_rows
from calock.server.accounts.codes import choose_password
from calock.server.accounts.models import Account, AccountState, Role, SealedSince
from calock.server.accounts.services import reset_password
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact, ContactCode
from calock.server.locks.password_rules import refuse_password_after_reset
from calock.server.locks.row_seals import damaged_rows, seal_all
from calock.server.login.services import login_with_password
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


def test_a_contact_that_somebody_turns_to_another_account_sets_no_password_there(mailbox, person, stranger):
    attacker = account("mallory", "马某")
    contact(attacker)
    ask(stranger, "mallory")
    background()
    code = mailbox.code(MAIL)
    Contact.objects.update(account=person)  # in the database, after the code was sent
    assert reset(stranger, code).status_code == 401
    assert Account.objects.get(pk=person.pk).password == person.password


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


def damaged(answer) -> bool:
    """Whether the code was refused as one that somebody wrote, and the trail says so."""
    row = AuditEvent.objects.filter(event="account:password:refused").latest("pk")
    return answer.status_code != 302 and row.reason == Reason.RECORD_DAMAGED


def forge(like: ContactCode, *, later: int) -> ContactCode:
    """As somebody does who has the database and not the server's secret, all columns but the id copied."""
    times = {"created_at": like.created_at + timedelta(seconds=later), "expires_at": like.expires_at}
    made = ContactCode(purpose=like.purpose, contact=like.contact, browser=like.browser, **times)
    made.save()
    ContactCode.objects.filter(pk=made.pk).update(mac=like.mac)
    return made


def test_codes_that_somebody_writes_into_the_database_set_no_password(mailbox, person, stranger):
    contact(person)
    ask(stranger)
    background()
    sent = ContactCode.objects.get()
    forged = [forge(sent, later=number) for number in range(1, 7)]
    assert damaged(reset(stranger, forged[-1].digits))
    assert reset(stranger, forged[0].digits).status_code == 401  # beyond the newest ones none is looked at
    assert not damaged(reset(stranger, forged[0].digits))
    ContactCode.objects.exclude(pk=sent.pk).delete()
    login_with_password(username="zhangsan", password=PASSWORD, context=context())
    assert reset(stranger, sent.digits).status_code == 302


@pytest.mark.parametrize("change", [{"expires_at": "2099-01-01T00:00:00Z"}, {"mac": ""}])
def test_a_code_that_somebody_changed_sets_no_password(mailbox, person, stranger, change):
    contact(person)
    ask(stranger)
    background()
    sent = ContactCode.objects.get()
    ContactCode.objects.update(**change)
    assert damaged(reset(stranger, sent.digits))
    assert [line.split()[0] for line in damaged_rows()] == ["contact-code"]


def test_a_used_code_is_not_made_good_again(mailbox, person, stranger):
    contact(person)
    ask(stranger)
    background()
    digits = ContactCode.objects.get().digits
    assert reset(stranger, digits).status_code == 302
    ContactCode.objects.update(used_at=None)
    assert damaged(reset(stranger, digits, new=NEW + "x"))


def test_a_code_of_the_version_before_is_good_until_all_are_sealed(mailbox, person, stranger):
    contact(person)
    SealedSince.objects.all().delete()
    sealed_rows.forget()
    ask(stranger)
    background()
    ContactCode.objects.update(mac="")
    digits = ContactCode.objects.get().digits
    assert reset(stranger, digits).status_code == 302
    seal_all()
    ContactCode.objects.update(used_at=None)
    assert damaged(reset(stranger, digits, new=NEW + "x"))
    assert seal_all() == 1
    assert [*damaged_rows()] == []


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
