"""Rows of the version before, the command of the server's owner that seals all, and who takes its mark away (A105)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase
from worlds.browser import Browser, bound, refusal_row
from worlds.forged_rows import sql, unharmed
from worlds.practice import NOW, make_lock

from calock.server.accounts import sealed_rows
from calock.server.accounts.models import Account, Role, SealedSince
from calock.server.accounts.operators import open_enrolment
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.jobs import sealed_rows as sealed_rows_job
from calock.server.locks import row_seals
from calock.server.locks.models import Binding, LockCertificate, LockKey
from calock.server.locks.row_seals import KINDS, damaged_rows
from calock.server.tools import seals

pytestmark = pytest.mark.django_db


@pytest.fixture
def before(victim):
    """A database that the version before wrote, with an operator's lock, and a machine that has seen nothing else."""
    victim.operator_lock = make_lock("EC", lock_id="SX-0100")
    as_before()
    open_enrolment(operator=victim.operator, by=None, context=None)
    bound(victim.operator_lock, Account.objects.get(pk=victim.operator.pk))
    as_before()
    return victim


def as_before() -> None:
    SealedSince.objects.all().delete()
    sealed_rows.forget()
    for model in (LockCertificate, LockKey):
        model.objects.update(mac="")
    Binding.objects.exclude(account__role=Role.OPERATOR).update(mac="")
    Account.objects.exclude(role=Role.OPERATOR).update(mac="")


def sealed_now() -> list[str]:
    with TestCase.captureOnCommitCallbacks(execute=True):
        call_command("sealed_rows", "seal", "--yes-the-list-is-right")
    return [*damaged_rows()]


def test_rows_of_the_version_before_are_good_until_the_owner_has_had_all_sealed(before):
    assert Browser().log_in(before.operator_lock).status_code == 200
    unharmed(before)
    assert sealed_now() == []
    assert Browser().log_in(before.operator_lock).status_code == 200
    unharmed(before)
    assert all(row.is_intact() for _, rows in KINDS.values() for row in rows.all())
    for table in ("locks_binding", "locks_lockcertificate", "accounts_account"):
        with transaction.atomic():
            sql(f"UPDATE {table} SET mac = ''")
            refusal_row(Browser().log_in(before.lock), "RECORD_DAMAGED")
            transaction.set_rollback(True)
    assert AuditEvent.objects.filter(event=Event.ROWS_SEALED).count() == 1


def test_an_operators_rows_are_believed_by_their_seal_alone_in_the_meantime_too(before):
    other = make_lock("EC", number=1, lock_id="SX-9")
    binding = bound(other, before.colleague)
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", before.operator.pk, binding.pk)
    refusal_row(Browser().log_in(other), "OPERATOR_DAMAGED")
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", before.colleague.pk, binding.pk)
    target = Binding.objects.get(account=before.operator).lock
    LockCertificate.objects.filter(lock=target).update(superseded_at=NOW)
    LockCertificate.objects.filter(lock=binding.lock).update(lock=target)
    refusal_row(Browser().log_in(other), "OPERATOR_DAMAGED")


def test_an_operators_lock_that_is_renewed_meanwhile_is_good_for_both_versions(before):
    renewed = make_lock("EC", lock_id="SX-0100", not_after=NOW + timedelta(days=700))
    assert Browser().log_in(renewed).status_code == 200
    binding = Binding.objects.get(account=before.operator)
    assert seals.fits(binding.mac, "operators", binding._content_before())
    assert sealed_now() == []
    assert Browser().log_in(renewed).status_code == 200


def test_an_operator_goes_on_when_the_seal_of_all_rows_was_rolled_back(before, monkeypatch):
    def broken_off(*_: object, **__: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(row_seals, "record", broken_off)  # the database is gone before the commit
        with pytest.raises(InterruptedError):
            row_seals.seal_all()
    assert not sealed_rows.note().exists()
    assert not sealed_rows.all_sealed()
    assert Browser().log_in(before.operator_lock).status_code == 200
    assert sealed_now() == []
    assert Browser().log_in(before.operator_lock).status_code == 200


def test_what_a_transaction_saw_that_was_rolled_back_is_not_noted(before):
    with transaction.atomic():
        SealedSince.objects.create(at=NOW)
        assert sealed_rows.all_sealed()
        transaction.set_rollback(True)
    assert not sealed_rows.note().exists()
    assert not sealed_rows.all_sealed()
    unharmed(before)


def test_an_operators_seal_of_before_that_is_committed_later_is_good_and_goes_on_through_a_renewal(before):
    late = Binding.objects.get(account=before.operator)
    as_it_was = late.expected_mac()
    sealed_now()
    assert late.expected_mac() != as_it_was
    Binding.objects.filter(pk=late.pk).update(mac=as_it_was)
    assert Browser().log_in(before.operator_lock).status_code == 200
    assert [*damaged_rows()] == []
    renewed = make_lock("EC", lock_id="SX-0100", not_after=NOW + timedelta(days=700))
    assert Browser().log_in(renewed).status_code == 200
    assert Browser().log_in(renewed).status_code == 200
    again = Binding.objects.get(pk=late.pk)
    Binding.objects.filter(pk=late.pk).update(mac=seals.mac("operators", again._content_before()))
    sealed_now()
    assert sealed_rows.SealedRow.is_intact(Binding.objects.get(pk=late.pk)), "sealed again it has the form of all others"


@pytest.mark.parametrize("how", ["it migrated", "its job ran"])
def test_who_takes_the_mark_away_changes_nothing_on_a_machine_that_saw_it(before, how):
    sealed_now()
    sealed_rows.forget()
    with TestCase.captureOnCommitCallbacks(execute=True):
        if how == "it migrated":
            call_command("migrate", verbosity=0)
        else:
            sealed_rows_job.look()
    sql("DELETE FROM accounts_sealedsince")
    sql("UPDATE locks_binding SET mac = '' WHERE id = %s", before.binding.pk)
    sealed_rows._seen = False  # another process of the machine
    refusal_row(Browser().log_in(before.lock), "RECORD_DAMAGED")


def test_a_note_that_cannot_be_read_stops_no_login(before, monkeypatch, tmp_path):
    monkeypatch.setattr(sealed_rows, "note", lambda: tmp_path / ("x" * 300))
    unharmed(before)
    assert sealed_now() == []
    assert sealed_rows.all_sealed()


def test_a_database_of_which_only_some_apps_are_migrated_says_nothing_of_seals_yet(db):
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE accounts_sealedsince")
        call_command("migrate", verbosity=0)
        assert not sealed_rows.note().exists()
        transaction.set_rollback(True)


@pytest.mark.parametrize("saw", [True, False], ids=["this machine saw the mark", "a new machine"])
@pytest.mark.parametrize("table", [True, False], ids=["migrated", "not migrated yet"])
def test_who_puts_an_older_backup_back_is_told_that_its_rows_have_no_seal(before, capsys, table, saw):
    sealed_now()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM accounts_sealedsince" if table else "DROP TABLE accounts_sealedsince")
    if not saw:
        sealed_rows.forget()
    call_command("restored", "--yes-the-backup-is-meant")
    assert ("sealed_rows seal" in capsys.readouterr().out) is saw


def test_a_new_database_is_under_seal_from_its_first_row(lock_world):
    assert SealedSince.objects.count() == 1
    bound(make_lock(), lock_world.member)
    assert [*damaged_rows()] == []
    assert all(row.is_intact() for _, rows in KINDS.values() for row in rows.all())


def test_the_owner_sees_what_is_damaged_and_has_one_row_sealed_that_was_looked_at(victim, capsys):
    call_command("sealed_rows", "list")
    sql("UPDATE accounts_account SET lock_only = %s WHERE id = %s", True, victim.member.pk)
    sql("UPDATE locks_binding SET awaits = 'member' WHERE id = %s", victim.binding.pk)
    with pytest.raises(CommandError, match="2 rows"):
        call_command("sealed_rows", "list")
    said = capsys.readouterr().out
    assert f"account {victim.member.username}" in said
    assert f"binding {victim.binding.pk} of {victim.member.username}" in said
    yes = "--yes-the-list-is-right"
    call_command("sealed_rows", "seal", yes, "--row", "account", victim.member.username)
    with pytest.raises(CommandError, match="1 rows"):
        call_command("sealed_rows", "list")
    for row in (("account", victim.member.username), ("binding", "x"), ("x", "y")):
        with pytest.raises(CommandError, match="no row"):
            call_command("sealed_rows", "seal", yes, "--row", *row)
    call_command("sealed_rows", "seal", yes)
    call_command("sealed_rows", "list")
