"""An operator takes a contact away: with a reason, told to its person, and of nobody but ordinary accounts."""

from __future__ import annotations

import uuid

import pytest
from server.messaging.conftest import MAIL, PHONE, background
from server.messaging.test_delivery import contact
from server.messaging.test_recovery import ask
from worlds.browser import bound, console_client, page_client
from worlds.mail import text_of
from worlds.practice import make_lock
from worlds.rows import account, operator

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact
from calock.server.locks.put_back import put_back_rows

pytestmark = pytest.mark.django_db


def take(browser, member, chosen, reason: str = "号码已换人，电话核实") -> str:
    page = f"/console/accounts/account/{member.pk}/change/"
    asked = {"step": "take_contact", "contact": str(chosen.pk), "reason": reason}
    return browser.post(page, asked, follow=True).content.decode()


def code_of(browser, member) -> str:
    """The one-time code that the console shows after a reset; empty when it was refused."""
    page = browser.post(f"/console/accounts/account/{member.pk}/change/", {"step": "reset"}).content.decode()
    return page.partition('class="one-time"><code>')[2].partition("<")[0]


def test_the_person_is_told_on_what_is_left_and_the_contact_opens_nothing_more(mailbox, gateway, person):
    mail = contact(person)
    contact(person, PHONE, "phone")
    by = operator("yunying")
    browser = console_client(by)
    assert "z***@supplier.example" in browser.get(f"/console/accounts/account/{person.pk}/change/").content.decode()
    assert "联系方式已移除，已通知本人" in take(browser, person, mail)
    background()
    row = AuditEvent.objects.get(event=Event.CONTACT_REMOVED)
    assert (row.actor, row.subject, row.details["reason"]) == (by.pk, person.pk, "号码已换人，电话核实")
    for told in (
        gateway.got[-1]["text"],
        text_of(mailbox.to(MAIL)[-1]),
        page_client("shanxi", person).get("/notices/").content.decode(),
    ):
        assert "您账户的联系方式 z***@supplier.example 于" in told
        assert "由平台运营人员移除" in told
        assert row.number in told
    before = len(mailbox.mails)
    ask(page_client("shanxi"), person.username)
    background()
    assert len(mailbox.mails) == before


def test_without_a_reason_of_an_operator_or_of_somebody_else_nothing_is_taken(mailbox, person):
    by, colleague, other = operator("yunying"), operator("yunying2"), account("lisi", "李四")
    mine, theirs = contact(person), contact(colleague, "colleague@platform.example")
    browser = console_client(by)
    assert 'value="take_contact"' not in browser.get(f"/console/accounts/account/{colleague.pk}/change/").content.decode()
    take(browser, person, mine, reason=" ")
    take(browser, colleague, theirs)
    take(browser, other, mine)
    take(page_client("shanxi", other), person, mine)
    assert Contact.objects.verified().count() == 2
    reasons = AuditEvent.objects.filter(event=Event.CONTACT_REFUSED).order_by("id").values_list("reason", flat=True)
    assert list(reasons) == [Reason.REASON_MISSING, Reason.NOT_ALLOWED, Reason.NOT_FOUND]


def test_whoever_takes_every_contact_away_does_not_reset_the_password_as_well(mailbox, gateway, person):
    mail, phone = contact(person), contact(person, PHONE, "phone")
    alone, colleague = console_client(operator("yunying")), console_client(operator("yunying2"))
    take(alone, person, mail)
    assert code_of(alone, person)  # the number that is left is told
    background()
    assert any("由平台运营人员重置" in message["text"] for message in gateway.got)
    assert person.username in take(alone, person, phone)
    assert not code_of(alone, person)
    refused = AuditEvent.objects.filter(event=Event.ACCOUNT_PASSWORD_REFUSED).latest("id")
    assert (refused.reason, refused.subject) == (Reason.CONTACTS_TAKEN, person.pk)
    assert code_of(colleague, person)


def test_a_contact_that_was_never_verified_keeps_no_reset_back(person):
    """Nobody is told on it, whether it is there or not: a mistyped address and a forgotten password come together."""
    mistyped = contact(person)
    Contact.objects.filter(pk=mistyped.pk).update(verified_at=None)
    alone = console_client(operator("yunying"))
    assert "联系方式已移除" in take(alone, person, mistyped)
    assert code_of(alone, person)


def test_whoever_reports_a_lock_lost_and_so_ends_the_only_contact_does_not_reset_the_password(lock_world):
    member, binding = lock_world.member, bound(make_lock(), lock_world.member)
    Contact.objects.filter(pk=contact(member).pk).update(by_lock=binding.lock_id)
    alone, colleague = console_client(operator("jia")), console_client(operator("yi"))
    alone.post(f"/console/locks/binding/{binding.pk}/change/", {"step": "suspend", "reason": "来电挂失"})
    assert not Contact.objects.exists()
    assert not code_of(alone, member)
    assert code_of(colleague, member)


@pytest.mark.parametrize("who", ["the operator", "the person"])
def test_a_contact_put_back_is_found_by_the_trail(mailbox, person, who):
    row = contact(person)
    if who == "the operator":
        take(console_client(operator("yunying")), person, row)
    else:
        page_client("shanxi", person).post(f"/contacts/{row.pk}/remove/")
    assert not Contact.objects.opening().exists()
    assert [*put_back_rows()] == []
    Contact.objects.update(removed_by_lock=uuid.uuid4(), removed_at=None)
    assert [*put_back_rows()] == []  # given back with the loss of a lock: it opens nothing
    Contact.objects.update(removed_by_lock=None)
    assert [*put_back_rows()] == [f"contact {row.pk} of {person.username}: it was taken away"]
