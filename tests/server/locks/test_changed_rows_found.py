"""Rows that somebody changed, or put back with an older seal, are found before anybody uses them (A105)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from worlds.browser import context
from worlds.forged_rows import sql
from worlds.rows import PASSWORD, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts.codes import choose_password, issue_code
from calock.server.accounts.members import set_account_state, write_account_state
from calock.server.accounts.models import Account, AccountState
from calock.server.accounts.services import change_own_password, reset_password
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.contacts.models import Contact
from calock.server.contacts.values import ContactKind
from calock.server.jobs import readiness
from calock.server.jobs import sealed_rows as sealed_rows_job
from calock.server.locks.models import Binding
from calock.server.locks.put_back import put_back_rows
from calock.server.locks.row_seals import damaged_rows
from calock.server.locks.suspension import suspend_lock
from calock.server.locks.unbinding import unbind_by_operators

pytestmark = pytest.mark.django_db


def test_a_job_finds_what_nobody_uses_and_operators_are_told(mine, operator_page):
    assert sealed_rows_job.look() == 0
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.member.pk, mine.own.pk)
    assert sealed_rows_job.look() == 1
    assert sealed_rows_job.look() == 1
    row = AuditEvent.objects.get(event=Event.ROW_DAMAGED)
    assert row.details["row"] == f"binding {mine.own.pk} of {mine.member.username}"
    warning = "warning: rows: 1 of accounts, bindings or locks are not as they were sealed"
    assert warning in readiness.problems()
    html = operator_page.get("/console/trust/").content.decode()
    assert "账户或 CA 锁记录被改动" in html
    assert str(mine.own.pk) in html
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.colleague.pk, mine.own.pk)
    assert sealed_rows_job.look() == 0
    assert warning not in readiness.problems()


@pytest.mark.parametrize("what", ["ended", "lost", "resumed"])
def test_a_binding_put_back_with_its_older_seal_is_found_by_the_trail(mine, what):
    """The seal fits, so the lock logs in until somebody is told."""
    kept = Binding.objects.get(pk=mine.own.pk)
    by = {"by": mine.colleague, "context": context(account=mine.colleague)}
    if what == "ended":
        unbind_by_operators(binding=kept.pk, reason="离职", by=mine.operator, context=context())
    else:
        suspend_lock(binding=kept.pk, reason="遗失", **by)
    if what == "resumed":
        rewrite(Binding.objects.get(pk=kept.pk), suspended_at=None)
        now = AuditEvent.objects.get(event=Event.BINDING_SUSPENDED)
        record(Event.BINDING_RESUMED, lock=now.lock, details={"binding": str(kept.pk)})
    sql("UPDATE locks_binding SET unbound_at = NULL, suspended_at = NULL, mac = %s WHERE id = %s", kept.mac, kept.pk)
    assert [*damaged_rows()] == []
    expected = {"ended": ["it ended"], "lost": ["it was reported lost"], "resumed": []}[what]
    assert [line.rpartition(": ")[2] for line in put_back_rows()] == expected
    assert sealed_rows_job.look() == len(expected)


@pytest.mark.parametrize("moment", range(8))
def test_a_lock_that_is_resumed_during_a_look_raises_no_alarm(mine, moment):
    """Whichever of the look's statements it comes after."""
    lost = suspend_lock(binding=mine.own.pk, reason="遗失", by=mine.colleague, context=context(account=mine.colleague))
    statements: list[object] = []

    def resume_in_time(execute, *statement):
        answer = execute(*statement)
        statements.append(statement)
        if len(statements) == moment + 1:
            rewrite(Binding.objects.get(pk=lost.pk), suspended_at=None)
            record(Event.BINDING_RESUMED, lock=lost.lock_id, details={"binding": str(lost.pk)})
        return answer

    with connection.execute_wrapper(resume_in_time):
        assert [*put_back_rows()] == []


def test_rows_that_were_put_back_are_named_beside_however_many_that_were_changed(mine, monkeypatch):
    monkeypatch.setattr(sealed_rows_job, "MOST", 1)
    kept = Binding.objects.get(pk=mine.own.pk)
    record(Event.BINDING_ENDED, lock=mine.own.lock_id, details={})  # as no version writes it
    unbind_by_operators(binding=kept.pk, reason="离职", by=mine.operator, context=context())
    sql("UPDATE locks_binding SET unbound_at = NULL, mac = %s WHERE id = %s", kept.mac, kept.pk)
    Account.objects.update(lock_only=True)
    assert sealed_rows_job.look() == 2
    assert [line.rpartition(": ")[2] for line in sealed_rows_job.found()][1:] == ["it ended"]
    sealed_rows_job.file().unlink()


@pytest.mark.parametrize("how", ["changed", "reset"])
def test_a_former_password_put_back_with_its_seal_is_found_by_the_trail(typed, how):
    code = issue_code(typed.member, by=None, at=timezone.now())
    then = context(at=timezone.now() - timedelta(hours=2))
    choose_password(username=typed.member.username, code=code, new=PASSWORD + "1", context=then)
    kept = Account.objects.get(pk=typed.member.pk)
    if how == "changed":
        now = context(account=kept)
        change_own_password(account=kept, old=PASSWORD + "1", new=PASSWORD + "2", context=now)
    else:
        reset_password(member=kept, by=None, context=None)
    assert [*put_back_rows()] == []
    statement = (
        "UPDATE accounts_account SET password = %s, password_changed_at = %s, password_reset_at = NULL, mac = %s WHERE id = %s"
    )
    sql(statement, kept.password, kept.password_changed_at, kept.mac, kept.pk)
    assert [*damaged_rows()] == []
    assert [*put_back_rows()] == [f"account {kept.username}: its password was chosen anew"]
    sql("UPDATE accounts_account SET password_changed_at = %s WHERE id = %s", timezone.now(), kept.pk)
    assert [*damaged_rows()] == [f"account {kept.username}"], "nor with the time at which the other one was chosen"


@pytest.mark.parametrize("who", ["operator", "member"])
def test_a_disabled_account_put_back_with_its_seal_is_found_by_the_trail(lock_world, who):
    kept = Account.objects.get(pk=getattr(lock_world, who).pk)
    with pytest.raises(Refusal):
        set_account_state(member=kept, state=AccountState.DISABLED, by=kept, context=context())
    assert [*put_back_rows()] == []
    write_account_state(member=kept, state=AccountState.DISABLED, by=None, context=None)
    write_account_state(member=kept, state=AccountState.ACTIVE, by=None, context=None)
    assert [*put_back_rows()] == []
    active = Account.objects.get(pk=kept.pk)
    write_account_state(member=active, state=AccountState.DISABLED, by=None, context=None)
    sql("UPDATE accounts_account SET state = 'active', mac = %s WHERE id = %s", active.mac, active.pk)
    assert [*damaged_rows()] == []
    assert [*put_back_rows()] == [f"account {active.username}: it was disabled"]


@pytest.mark.parametrize("what", ["binding", "account"])
def test_rows_that_somebody_writes_into_the_trail_hide_nothing_and_accuse_nobody(mine, what):
    """Neither that the lock was resumed, or the account enabled, nor that those of others had ended."""
    kept, other = Binding.objects.get(pk=mine.own.pk), str(mine.binding.pk)
    account = Account.objects.get(pk=mine.colleague.pk)
    if what == "binding":
        suspend_lock(binding=kept.pk, reason="遗失", by=mine.colleague, context=context(account=mine.colleague))
        sql("UPDATE locks_binding SET suspended_at = NULL, mac = %s WHERE id = %s", kept.mac, kept.pk)
    else:
        write_account_state(member=account, state=AccountState.DISABLED, by=None, context=None)
        sql("UPDATE accounts_account SET state = 'active', mac = %s WHERE id = %s", account.mac, account.pk)
    told = [*put_back_rows()]
    assert len(told) == 1
    written = AuditEvent.objects.latest("pk").pk
    record(Event.BINDING_RESUMED, lock=kept.lock_id, details={"binding": str(kept.pk)})
    record(Event.ACCOUNT_ENABLED, subject=account.pk)
    record(Event.BINDING_ENDED, lock=mine.binding.lock_id, details={"binding": other})
    record(Event.BINDING_SUSPENDED, lock=mine.binding.lock_id, details={"binding": other})
    record(Event.ACCOUNT_DISABLED, subject=mine.member.pk)
    record(Event.ACCOUNT_PASSWORD_CHOSEN, subject=mine.member.pk)
    sql("UPDATE audit_auditevent SET mac = 'x' WHERE id > %s", written)
    assert [*put_back_rows()] == told


@pytest.mark.parametrize("by_lock", [True, False])
def test_a_contact_that_comes_back_with_the_loss_of_a_lock_raises_no_alarm(mine, by_lock):
    """It opens nothing. One that somebody puts back as it was does."""
    taken = Contact(
        account=mine.member,
        kind=ContactKind.MAIL,
        site="shanxi",
        language="zh-hans",
        added_at=timezone.now(),
        verified_at=timezone.now(),
    )
    taken.value = "zhang@example.com"
    taken.removed_by_lock = mine.binding.lock_id if by_lock else None
    taken.save()
    record(Event.CONTACT_REMOVED, subject=mine.member.pk, details={"contact_id": str(taken.pk)})
    named = [] if by_lock else [f"contact {taken.pk} of {mine.member.username}: it was taken away"]
    assert [*put_back_rows()] == named


def test_rows_of_the_trail_that_name_no_binding_end_no_look(victim):
    for event in (Event.BINDING_ENDED, Event.BINDING_SUSPENDED, Event.BINDING_RESUMED):
        record(event, lock=victim.binding.lock_id)
    assert [*put_back_rows()] == []
