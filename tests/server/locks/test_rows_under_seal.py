"""Whoever writes into the database, without the server's secret, gives nobody a lock or a password (A105)."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import TestCase
from django.utils import timezone
from worlds.browser import Browser, bound, console_client, context, logged_in, reason_of, refusal_row
from worlds.practice import NOW, make_lock
from worlds.rows import PASSWORD, rewrite

from calock.core.refusals import Refusal
from calock.server.accounts import sealed_rows
from calock.server.accounts.codes import choose_password, issue_code
from calock.server.accounts.members import set_account_state, write_account_state
from calock.server.accounts.models import Account, AccountState, Role, SealedSince
from calock.server.accounts.operators import open_enrolment
from calock.server.accounts.services import change_own_password, reset_password
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.jobs import readiness
from calock.server.jobs import sealed_rows as sealed_rows_job
from calock.server.locks import row_seals
from calock.server.locks.labels import label_lock
from calock.server.locks.models import Binding, LockCertificate, LockKey
from calock.server.locks.put_back import put_back_rows
from calock.server.locks.row_seals import ROOMS, damaged_rows
from calock.server.locks.step_up import Evidence
from calock.server.locks.suspension import resume_lock, suspend_by_operator, suspend_lock
from calock.server.locks.unbinding import unbind_by_operators
from calock.server.login.services import login_with_password
from calock.server.tools import seals

pytestmark = pytest.mark.django_db


def sql(statement: str, *values: object) -> None:
    """As somebody does who has the database and not the server's secret."""
    kept = [value.hex if isinstance(value, uuid.UUID) and connection.vendor == "sqlite" else value for value in values]
    with connection.cursor() as cursor:
        cursor.execute(statement, kept)
        assert cursor.rowcount >= 1


@pytest.fixture
def victim(lock_world):
    """An account with a bound lock."""
    lock_world.lock = make_lock()
    lock_world.binding = bound(lock_world.lock, lock_world.member)
    return lock_world


@pytest.fixture
def operator_page(lock_world):
    sealed_rows_job.file().unlink(missing_ok=True)
    yield console_client(lock_world.operator)
    sealed_rows_job.file().unlink(missing_ok=True)


@pytest.fixture
def mine(victim):
    """A good lock of the attacker's, bound to their own account."""
    victim.own_lock = make_lock("EC", lock_id="SX-9")
    victim.own = bound(victim.own_lock, victim.colleague)
    return victim


def unharmed(world) -> None:
    """The others go on logging in."""
    assert Browser().log_in(world.lock).status_code == 200


def test_a_certificate_moved_to_the_victims_lock_opens_nothing(mine):
    target = mine.binding.lock_id
    sql("UPDATE locks_lockcertificate SET superseded_at = %s WHERE lock_id = %s", timezone.now(), target)
    sql("UPDATE locks_lockcertificate SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    sql("UPDATE locks_lockkey SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    refusal_row(logged_in(mine.member).step_up(mine.own_lock), "RECORD_DAMAGED")


def test_a_key_moved_to_the_victims_lock_makes_no_renewal(mine):
    """The attacker's next certificate over their own key, with the victim's holder written beside it."""
    target = mine.binding.lock_id
    sql("UPDATE locks_lockkey SET lock_id = %s WHERE lock_id = %s", target, mine.own.lock_id)
    renewed = make_lock("EC", lock_id="SX-9", not_after=NOW.replace(year=NOW.year + 2))
    refusal_row(Browser().log_in(renewed), "RECORD_DAMAGED")
    unharmed(mine)


def test_a_holder_written_beside_the_victims_certificate_makes_no_renewal(mine):
    sql("UPDATE locks_lockcertificate SET holder_hmac = 'x' WHERE lock_id = %s", mine.binding.lock_id)
    refusal_row(Browser().log_in(mine.lock), "RECORD_DAMAGED")
    assert Browser().log_in(mine.own_lock).status_code == 200


@pytest.mark.parametrize("mac", ["", "0" * 64, "copied"])
def test_a_binding_turned_to_the_victim_opens_nothing(mine, mac):
    kept = mine.binding.mac if mac == "copied" else mac
    sql("UPDATE locks_binding SET account_id = %s, mac = %s WHERE id = %s", mine.member.pk, kept, mine.own.pk)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    refusal_row(logged_in(mine.member).step_up(mine.own_lock), "RECORD_DAMAGED")
    unharmed(mine)


def test_a_binding_that_somebody_inserts_opens_nothing(mine):
    sql("UPDATE locks_binding SET unbound_at = %s WHERE id = %s", timezone.now(), mine.own.pk)
    columns = "lock_id, bound_by_id, bound_at, site, reason, suspend_reason, awaits, mac, label, rank"
    copy = f"INSERT INTO locks_binding (id, account_id, {columns}) SELECT %s, %s, {columns} FROM locks_binding WHERE id = %s"
    sql(copy, uuid.uuid4(), mine.member.pk, mine.own.pk)
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")
    unharmed(mine)


def test_an_ended_binding_is_not_brought_back(victim):
    browser = logged_in(victim.member)
    assert browser.bind(make_lock("EC", lock_id="SX-8"), victim.member).status_code == 200
    browser = Browser()
    assert browser.log_in(victim.lock).status_code == 200
    assert browser.post(f"/api/bindings/{victim.binding.pk}/end", {"reason": "换锁"}).status_code == 200
    sql("UPDATE locks_binding SET unbound_at = NULL, unbound_by_id = NULL WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_a_lost_lock_is_not_resumed(victim):
    suspend_lock(binding=victim.binding.pk, reason="遗失", by=victim.member, context=context(account=victim.member))
    sql("UPDATE locks_binding SET suspended_at = NULL WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_no_consent_is_given(victim):
    rewrite(victim.binding, awaits="member")
    assert reason_of(Browser().log_in(victim.lock)) == "LOCK_NOT_CONFIRMED"
    sql("UPDATE locks_binding SET awaits = '' WHERE id = %s", victim.binding.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_a_disabled_account_is_not_enabled(victim):
    rewrite(Account.objects.get(pk=victim.member.pk), state=AccountState.DISABLED)
    sql("UPDATE accounts_account SET state = 'active' WHERE id = %s", victim.member.pk)
    refusal_row(Browser().log_in(victim.lock), "RECORD_DAMAGED")


def test_what_somebody_wrote_is_not_sealed_along_with_another_change(mine):
    sql("UPDATE locks_binding SET account_id = %s WHERE id = %s", mine.member.pk, mine.own.pk)
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        Binding.objects.get(pk=mine.own.pk).save()
    label_lock(binding=mine.own.pk, label="我的", rank="", by=mine.member, context=context())
    refusal_row(Browser().log_in(mine.own_lock), "RECORD_DAMAGED")


DAMAGES = {
    "account": "UPDATE accounts_account SET lock_only = (1 = 1) WHERE id = (SELECT account_id FROM locks_binding WHERE id = %s)",
    "binding": "UPDATE locks_binding SET bound_at = '2026-01-01 00:00:00' WHERE id = %s",
}


@pytest.mark.parametrize("damaged", DAMAGES)
def test_a_lock_of_a_damaged_row_is_reported_lost_and_not_made_good_by_that(victim, damaged):
    binding, operators = victim.binding.pk, {"by": victim.operator, "context": context(account=victim.operator)}
    member = Account.objects.get(pk=victim.member.pk)
    member.set_password(PASSWORD)
    member.password_changed_at, member.password_by_lock = timezone.now(), victim.binding.lock
    member.save()
    sql(DAMAGES[damaged], binding)
    damage = [*damaged_rows()]
    suspend_by_operator(binding=binding, reason="遗失", **operators)
    row = Binding.objects.get(pk=binding)
    assert row.suspended_at is not None
    assert not row.account.has_usable_password(), "what stands on the lock ended"
    assert [*damaged_rows()] == damage, "and the row is as damaged as it was"
    refusal_row(Browser().log_in(victim.lock), "LOCK_REPORTED_LOST")
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        resume_lock(binding=binding, reason="找到", evidence=Evidence(), by=victim.admin, context=context(account=victim.admin))
    unbind_by_operators(binding=binding, reason="换锁", **operators)


def test_a_damaged_account_is_disabled_and_enabled_again_when_the_owner_had_its_row_sealed(victim):
    browser, by = Browser(), {"by": victim.operator, "context": context(account=victim.operator)}
    assert browser.log_in(victim.lock).status_code == 200
    sql("UPDATE accounts_account SET lock_only = %s WHERE id = %s", True, victim.member.pk)
    member, named = Account.objects.get(pk=victim.member.pk), [f"account {victim.member.username}"]
    set_account_state(member=member, state=AccountState.DISABLED, **by)
    assert browser.client.get("/sessions/").status_code == 302
    assert Account.objects.get(pk=member.pk).state == AccountState.DISABLED
    assert [*damaged_rows()] == named
    with pytest.raises(Refusal, match="RECORD_DAMAGED"):
        set_account_state(member=member, state=AccountState.ACTIVE, **by)
    call_command("sealed_rows", "seal", "--yes-the-list-is-right", "--row", *named[0].split())
    set_account_state(member=member, state=AccountState.ACTIVE, **by)
    unharmed(victim)


# --- passwords, roles, sessions


@pytest.fixture
def typed(lock_world):
    """Two people with passwords; the attacker knows the second one's."""
    for account, password in ((lock_world.member, PASSWORD), (lock_world.colleague, "Angreifer-9-Wang")):
        account.set_password(password)
        account.save()
    return lock_world


def by_password(username: str, password: str) -> str:
    with pytest.raises(Refusal) as caught:
        login_with_password(username=username, password=password, context=context())
    assert AuditEvent.objects.filter(event="login:password:refused", reason=caught.value.reason).exists()
    return caught.value.reason


@pytest.mark.parametrize("along", [False, True], ids=["the hash", "the hash and its seal"])
def test_a_hash_of_the_attackers_password_opens_nothing(typed, along):
    own = Account.objects.get(pk=typed.colleague.pk)
    mac = own.mac if along else typed.member.mac
    sql("UPDATE accounts_account SET password = %s, mac = %s WHERE id = %s", own.password, mac, typed.member.pk)
    assert by_password(typed.member.username, "Angreifer-9-Wang") == "RECORD_DAMAGED"
    assert login_with_password(username=own.username, password="Angreifer-9-Wang", context=context())
    browser = logged_in(typed.member)  # nor does it prove anything in a session
    assert reason_of(browser.post("/api/step-up", {"password": "Angreifer-9-Wang"})) == "SESSION_ENDED"


def test_a_password_is_not_let_in_where_the_account_goes_by_its_lock(typed):
    bound(make_lock(), typed.member)
    rewrite(Account.objects.get(pk=typed.member.pk), lock_only=True)
    assert by_password(typed.member.username, PASSWORD) == "PASSWORD_LOGIN_OFF"
    sql("UPDATE accounts_account SET lock_only = NULL WHERE id = %s", typed.member.pk)
    assert by_password(typed.member.username, PASSWORD) == "RECORD_DAMAGED"


def test_a_role_written_into_the_database_makes_no_administrator(lock_world):
    """Nor does an administrator of one organisation become one of another."""
    forged = lock_world.outsider
    place = lock_world.member.organisation_id
    sql("UPDATE accounts_account SET role = %s, organisation_id = %s WHERE id = %s", Role.ORGANISATION_ADMIN, place, forged.pk)
    forged = Account.objects.get(pk=forged.pk)
    assert forged.administers is None
    asked = {"purpose": "bind", "member": str(lock_world.member.pk)}
    assert reason_of(logged_in(forged).post("/api/challenge", asked)) == "SESSION_ENDED"


def code_refused(username: str, code: str) -> str:
    with pytest.raises(Refusal) as caught:
        choose_password(username=username, code=code, new="Xin-Mi-Ma-2026-abc", context=context())
    return caught.value.reason


def test_a_code_that_somebody_inserts_or_turns_to_the_victim_sets_no_password(typed):
    victim, own = typed.member, typed.colleague
    code = issue_code(own, by=None, at=timezone.now())
    sql("UPDATE accounts_passwordcode SET account_id = %s WHERE account_id = %s", victim.pk, own.pk)
    assert code_refused(victim.username, code) == "RECORD_DAMAGED"
    sql("UPDATE accounts_passwordcode SET mac = '' WHERE account_id = %s", victim.pk)
    assert code_refused(victim.username, code) == "RECORD_DAMAGED"
    assert login_with_password(username=victim.username, password=PASSWORD, context=context())


def test_a_code_that_was_used_is_not_made_good_again(typed):
    code = issue_code(typed.member, by=None, at=timezone.now())
    choose_password(username=typed.member.username, code=code, new="Erste-Wahl-2026-x", context=context())
    sql("UPDATE accounts_passwordcode SET used_at = NULL WHERE account_id = %s", typed.member.pk)
    assert code_refused(typed.member.username, code) == "RECORD_DAMAGED"


@pytest.mark.parametrize(
    "change", ["account_id = %s", "lock_proved_at = '2099-01-01', account_id = %s", "mac = '', account_id = %s"]
)
def test_a_session_turned_to_the_victim_is_none(lock_world, change):
    browser = logged_in(lock_world.colleague)
    assert browser.client.get("/sessions/").status_code == 200
    sql(f"UPDATE calock_sessions_session SET {change}", lock_world.member.pk)
    assert browser.client.get("/sessions/")["Location"].startswith("/login/")


# --- rows of the version before, the owner's command, and who takes the mark away


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
    assert all(row.is_intact() for _, rows in ROOMS.values() for row in rows.all())
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
    assert all(row.is_intact() for _, rows in ROOMS.values() for row in rows.all())


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


# --- found before anybody uses it


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


def test_rows_of_the_trail_that_name_no_binding_end_no_look(victim):
    for event in (Event.BINDING_ENDED, Event.BINDING_SUSPENDED, Event.BINDING_RESUMED):
        record(event, lock=victim.binding.lock_id)
    assert [*put_back_rows()] == []
