"""Operators: made by the owner, proved by their lock, sealed against whoever writes to the database (SEC09, SEC10, A105)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, refusal_row
from worlds.practice import NOW, ORIGIN, id_card, make_lock
from worlds.rows import PASSWORD

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import require_operator
from calock.server.accounts.codes import choose_password
from calock.server.accounts.members import rename_account
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.operators import open_enrolment
from calock.server.audit.models import AuditEvent
from calock.server.jobs import readiness
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.login.services import login_with_password
from calock.server.sessions.models import Session
from calock.server.sessions.services import new_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(lock_world):
    lock_world.operator.set_password(PASSWORD)
    lock_world.operator.save()
    open_enrolment(operator=lock_world.operator, by=None, context=None)
    return Account.objects.get(pk=lock_world.operator.pk)


@pytest.fixture
def own(operator):
    """The operator's bound lock."""
    lock = make_lock()
    bound(lock, operator)
    return lock


def console(browser) -> int:
    return browser.client.get("/console/trust/").status_code


def by_lock(lock) -> Browser:
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    return browser


def test_from_the_command_line_to_the_console(lock_world, capsys):
    """The first operator of a new platform: a code, a password, a lock, the console."""
    call_command("operators", "create", "yunying09", "运营")
    code = capsys.readouterr().out.splitlines()[0].rpartition(" ")[2]
    choose_password(username="yunying09", code=code, new=PASSWORD, context=context())
    browser = Browser()
    answer = browser.client.post("/login/", {"username": "yunying09", "password": PASSWORD}, headers={"origin": ORIGIN})
    assert answer.headers["Location"] == "/apps/"
    assert browser.client.get("/apps/").headers["Location"] == "/console/"
    assert console(browser) == 302
    assert "还没有绑定 CA 锁" in browser.client.get("/confirm/?next=/console/").content.decode()
    lock, account = make_lock(), Account.objects.get(username="yunying09")
    assert browser.bind(lock, account).status_code == 200
    assert Account.objects.get(pk=account.pk).lock_enrolment_until is None
    assert browser.step_up(lock).status_code == 200
    assert console(browser) == 200


def test_sec09_with_a_bound_lock_the_password_opens_nothing(operator, own):
    with pytest.raises(Refusal) as caught:
        login_with_password(username="yunying", password=PASSWORD, context=context())
    assert caught.value.reason == Reason.PASSWORD_LOGIN_OFF
    browser = logged_in(operator)  # a session that a password opened before
    assert console(browser) == 302
    refusal_row(browser.post("/api/step-up", {"password": PASSWORD}), "LOCK_PROOF_REQUIRED")
    refusal_row(browser.bind(make_lock("EC", lock_id="SX-9"), operator), "LOCK_PROOF_REQUIRED")
    binding = Binding.objects.get()
    refusal_row(browser.post(f"/api/bindings/{binding.pk}/end", {"reason": "x", "password": PASSWORD}), "LOCK_PROOF_REQUIRED")
    refusal_row(browser.post(f"/api/bindings/{binding.pk}/end", {"reason": "x"}), "LOCK_PROOF_REQUIRED")
    assert console(by_lock(own)) == 200


def test_a_wrong_password_does_not_tell_that_the_account_goes_by_its_lock(operator, own):
    with pytest.raises(Refusal) as caught:
        login_with_password(username="yunying", password="falsch-falsch", context=context())
    assert caught.value.reason == Reason.CREDENTIALS_WRONG


def test_a_stolen_password_binds_no_lock_to_an_operator(lock_world):
    """Without a time that was given, an operator without a lock stays without one."""
    lock_world.operator.set_password(PASSWORD)
    lock_world.operator.save()
    refusal_row(logged_in(lock_world.operator).bind(make_lock(), lock_world.operator), "LOCK_ENROLMENT_CLOSED")
    open_enrolment(operator=lock_world.operator, by=None, context=None)
    account = Account.objects.get(pk=lock_world.operator.pk)
    account.lock_enrolment_until = timezone.now() - timedelta(seconds=1)
    account.save()
    refusal_row(logged_in(account).bind(make_lock(), account), "LOCK_ENROLMENT_CLOSED")
    assert not Binding.objects.exists()


def test_a_second_lock_is_bound_with_the_first(operator, own):
    assert by_lock(own).bind(make_lock("EC", lock_id="SX-9"), operator).status_code == 200


def test_an_operator_who_lost_the_lock_binds_another_in_the_time_that_was_given(operator, own):
    call_command("operators", "enrol", "yunying")
    assert login_with_password(username="yunying", password=PASSWORD, context=context())
    fresh = make_lock("EC", lock_id="SX-9")
    browser = logged_in(Account.objects.get(pk=operator.pk))
    assert browser.bind(fresh, operator).status_code == 200
    refusal_row(browser.bind(make_lock("RSA", lock_id="SX-8"), operator), "LOCK_PROOF_REQUIRED")  # one lock, then it is over
    renewed = by_lock(fresh)
    lost = Binding.objects.get(lock__lock_id="SX-0001")
    assert renewed.post(f"/api/bindings/{lost.pk}/end", {"reason": "遗失"}).status_code == 200  # the lock proved it a moment ago


def test_one_person_is_not_two_operators(operator, lock_world):
    """Two accounts with locks of one person would be both of the two who decide."""
    person = {"person_id": "11010519491231002X", "name": "运营"}
    bound(make_lock(**person), operator)
    call_command("operators", "create", "yunying09", "化名")
    second = Account.objects.get(username="yunying09")
    answer = logged_in(second).bind(make_lock("EC", lock_id="SX-9", **person), second)
    refusal_row(answer, "OPERATOR_HOLDER_KNOWN")
    assert not Binding.objects.filter(account=second).exists()
    other = make_lock("RSA", lock_id="SX-8", person_id=id_card("44052418800101003"), name="另一人")
    assert logged_in(second).bind(other, second).status_code == 200
    assert by_lock(make_lock(**person)).bind(make_lock("EC", lock_id="SX-9", **person), operator).status_code == 200


def test_an_operators_name_is_the_owners_to_change(operator, lock_world):
    colleague = Account.objects.create_account(username="yunying09", name="运营乙", role=Role.OPERATOR)
    with pytest.raises(Refusal) as caught:
        rename_account(member=operator, name="化名", by=colleague, context=context(account=colleague))
    assert caught.value.reason == Reason.NOT_ALLOWED
    call_command("operators", "rename", "yunying", "运营甲")
    renamed = Account.objects.get(pk=operator.pk)
    assert (renamed.name, renamed.is_operator) == ("运营甲", True)


def test_unbinding_the_lock_takes_the_console_away(operator, own):
    second = make_lock("EC", lock_id="SX-9")
    browser = by_lock(own)
    browser.bind(second, operator)
    other = by_lock(second)
    assert console(browser) == 200
    first = Binding.objects.get(lock__lock_id="SX-0001")
    assert other.post(f"/api/bindings/{first.pk}/end", {"reason": "换锁"}).status_code == 200
    assert console(browser) == 302
    assert console(other) == 200


# --- whoever writes to the database


def test_sec10_a_role_written_into_the_database_makes_no_operator(lock_world):
    Account.objects.filter(pk=lock_world.member.pk).update(role=Role.OPERATOR)
    forged = Account.objects.get(pk=lock_world.member.pk)
    assert not forged.is_operator
    assert console(logged_in(forged)) == 302  # to the login page
    with pytest.raises(Refusal):
        require_operator(forged.pk)
    forged.set_password(PASSWORD)
    with pytest.raises(Refusal) as caught:
        forged.save()  # what somebody wrote is not sealed along with another change
    assert caught.value.reason == Reason.OPERATOR_DAMAGED


@pytest.mark.parametrize(
    "change",
    [
        {"state": AccountState.DISABLED},
        {"password": "argon2$gemacht"},
        {"username": "yunying99"},
        {"lock_enrolment_until": timezone.now() + timedelta(days=1)},
        {"mac": "0" * 64},
        {"mac": ""},
    ],
)
def test_sec10_a_changed_row_of_an_operator_is_not_believed(operator, own, change):
    browser = by_lock(own)
    Account.objects.filter(pk=operator.pk).update(**change)
    assert console(browser) in (302, 403)
    assert Browser().log_in(own).status_code == 403
    with pytest.raises(Refusal):
        require_operator(operator.pk)


def test_sec10_a_disabled_operator_is_not_enabled_in_the_database(operator, own):
    call_command("operators", "disable", "yunying")
    Account.objects.filter(pk=operator.pk).update(state=AccountState.ACTIVE)
    refusal_row(Browser().log_in(own), "OPERATOR_DAMAGED")


def strange_lock(member) -> tuple:
    """A good lock of the attacker's own, bound to an account of theirs."""
    lock = make_lock("EC", lock_id="SX-9")
    return lock, bound(lock, member)


def test_sec10_a_binding_written_into_the_database_opens_no_console(operator, own, lock_world):
    lock, binding = strange_lock(lock_world.member)
    Binding.objects.filter(pk=binding.pk).update(account=operator, bound_by=operator)
    refusal_row(Browser().log_in(lock), "OPERATOR_DAMAGED")
    browser = logged_in(operator)
    refusal_row(browser.step_up(lock), "OPERATOR_DAMAGED")
    assert console(by_lock(own)) == 200


def test_sec10_a_certificate_moved_to_the_operators_lock_opens_nothing(operator, own, lock_world):
    lock, binding = strange_lock(lock_world.member)
    target = Lock.objects.get(lock_id="SX-0001")
    Binding.objects.filter(pk=binding.pk).update(unbound_at=timezone.now(), unbound_by=lock_world.member)
    LockCertificate.objects.filter(lock=target).update(superseded_at=timezone.now())
    LockCertificate.objects.filter(lock=binding.lock).update(lock=target)
    LockKey.objects.filter(lock=binding.lock).update(lock=target)
    refusal_row(Browser().log_in(lock), "OPERATOR_DAMAGED")
    refusal_row(logged_in(operator).step_up(lock), "RECORD_DAMAGED")


def test_sec10_an_ended_binding_is_not_brought_back_in_the_database(operator, own):
    browser = by_lock(own)
    browser.bind(make_lock("EC", lock_id="SX-9"), operator)
    first = Binding.objects.get(lock__lock_id="SX-0001")
    browser.post(f"/api/bindings/{first.pk}/end", {"reason": "换锁"})
    Binding.objects.filter(pk=first.pk).update(unbound_at=None, unbound_by=None)
    refusal_row(Browser().log_in(own), "OPERATOR_DAMAGED")


def test_sec10_a_session_written_into_the_database_opens_no_console(operator, own):
    lock = Lock.objects.get(lock_id="SX-0001")
    now = timezone.now()
    session, value = new_session(account_id=operator.pk, method="password", context=context())
    session.save(force_insert=True)
    Session.objects.filter(pk=session.pk).update(lock_proved_at=now, proved_lock=lock, method="ca", lock=lock)
    browser = Browser()
    browser.client.cookies["calock"] = value
    assert console(browser) == 302


def test_sec10_a_members_session_is_not_turned_into_an_operators(operator, own, lock_world):
    other = make_lock("EC", lock_id="SX-9")
    bound(other, lock_world.member)
    browser = by_lock(other)
    lock = Lock.objects.get(lock_id="SX-0001")
    Session.objects.filter(account=lock_world.member).update(account=operator, proved_lock=lock, lock=lock)
    assert console(browser) == 302


def test_a_renewed_certificate_of_an_operators_lock_is_sealed_anew(operator, lock_world):
    first = make_lock(person_id="11010519491231002X", name="运营")
    bound(first, operator)
    renewed = make_lock(person_id="11010519491231002X", name="运营", not_after=NOW + timedelta(days=700))
    assert console(by_lock(renewed)) == 200
    assert console(by_lock(renewed)) == 200


def test_what_was_changed_is_said_on_the_console_on_readyz_and_on_the_command_line(operator, own, lock_world, capsys):
    call_command("operators", "list")
    assert "yunying  运营  active  locks: SX-0001" in capsys.readouterr().out
    Account.objects.filter(pk=lock_world.member.pk).update(role=Role.OPERATOR)
    assert "operators: a row is not as it was sealed" in readiness.problems()
    html = by_lock(own).client.get("/console/trust/").content.decode()
    assert "运营人员记录被改动" in html
    assert "account zhangsan" in html
    with pytest.raises(CommandError, match="account zhangsan"):
        call_command("operators", "list")


def test_after_a_change_of_the_secret_the_owner_seals_the_list(operator, own, settings, lock_world):
    settings.SECRET_KEY = secrets.token_urlsafe(48)
    assert not Account.objects.get(pk=operator.pk).is_operator
    with pytest.raises(CommandError):
        call_command("sealed_rows", "seal")
    call_command("sealed_rows", "seal", "--yes-the-list-is-right")
    assert Account.objects.get(pk=operator.pk).is_operator
    call_command("operators", "list")
    assert AuditEvent.objects.filter(event="account:operators:resealed").count() == 1


def test_the_switch_for_operators_is_the_owners(operator, settings):
    settings.CALOCK = replace(settings.CALOCK, operators_need_lock=False)
    bound(make_lock(), operator)
    assert login_with_password(username="yunying", password=PASSWORD, context=context())
    assert console(logged_in(operator)) == 200


def test_the_time_to_bind_ends_with_a_renewal_as_well(operator):
    """The lock was not lost after all: its renewed certificate, confirmed in the dialog, is a lock like a new one."""
    browser = Browser()
    browser.enter(operator)
    assert browser.bind(make_lock(), operator).status_code == 200
    open_enrolment(operator=operator, by=None, context=None)
    renewed = make_lock(not_after=NOW + timedelta(days=700))
    assert browser.step_up(make_lock()).status_code == 200
    assert browser.bind(renewed, operator).status_code == 200
    assert AuditEvent.objects.filter(event="binding:certificate:renewed").exists()
    assert Account.objects.get(pk=operator.pk).lock_enrolment_until is None
