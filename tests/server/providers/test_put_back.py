"""Somebody who writes to the database, but has not the server's key, puts the register back as it was: all of it, or a part."""

from __future__ import annotations

import json
import tempfile
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from worlds.browser import Browser, reason_of
from worlds.practice import make_lock
from worlds.register import make_world

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.providers import register_rows, rollback_guard, trust
from calock.server.providers.anchors import CA_WITHDRAW, propose_ca_state
from calock.server.providers.models import CaRecord, Provider, RegisterState, RevocationSource
from calock.server.providers.services import edit_provider, suspend_provider
from calock.server.providers.sources import add_source, remove_source
from calock.server.providers.trust import ProblemKind, check_at_start, current_problems, current_register, forget_register

TABLES = (RegisterState, Provider, CaRecord, RevocationSource)


@pytest.fixture
def world(transactional_db):
    """Committed, as on a running platform: only what is committed is remembered."""
    forget_register()
    return make_world()


def backup() -> dict[type, list[dict]]:
    return {model: list(model.objects.values()) for model in TABLES}


def put_back(saved: dict[type, list[dict]]) -> None:
    """As with SQL: no seal, no revision of the server's takes part."""
    for model in reversed(TABLES):
        model.objects.all().delete()
    for model in TABLES:
        model.objects.bulk_create(model(**values) for values in saved[model])


def withdraw(world, record: CaRecord) -> None:
    row = CaRecord.objects.get(pk=record.pk)
    approval = propose_ca_state(
        record=row, version=row.version, kind=CA_WITHDRAW, reason="根密钥泄露", by=world.first, context=None
    )
    approve(approval_id=approval.pk, version=1, sha256=approval.sha256, by=world.second, context=None)


def keys() -> set[str]:
    return {ca.spki_sha256 for provider in current_register().providers for ca in provider.cas}


def new_process() -> None:
    """What a restart of the server forgets; the machine's file stays."""
    forget_register()
    rollback_guard._memory = None


def damaged():
    return pytest.raises(Refusal, match=f"^{Reason.REGISTER_DAMAGED}")


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_a_register_put_back_whole_is_not_trusted(world, restarted):
    saved = backup()
    withdraw(world, world.intermediate)
    assert world.intermediate.spki_sha256 not in keys()
    put_back(saved)
    if restarted:
        new_process()
    else:
        forget_register()
    with damaged():
        current_register()
    (problem,) = current_problems()
    assert problem.kind == ProblemKind.REGISTER_DAMAGED
    assert "put back" in problem.detail
    with pytest.raises(trust.RegisterError, match="register_damaged"):
        check_at_start()


def test_a_running_server_notices_at_its_next_look(world, monkeypatch):
    saved = backup()
    withdraw(world, world.intermediate)
    current_register()
    put_back(saved)
    monkeypatch.setattr(trust, "CHECK_EVERY", 0.0)
    with damaged():
        current_register()


@pytest.mark.django_db(transaction=True)
def test_a_ca_login_is_answered_503_with_the_reason(committed_lock_world):
    saved = backup()
    Provider.objects.get(code="lianxi-sm2").save()
    put_back(saved)
    forget_register()
    answer = Browser().log_in(make_lock())
    assert (answer.status_code, reason_of(answer)) == (503, "REGISTER_DAMAGED")


def test_nothing_is_changed_in_a_register_that_was_put_back(world):
    """Each change raises the revision: a few of them would carry it past the newest one seen."""
    saved = backup()
    withdraw(world, world.intermediate)
    put_back(saved)
    fresh = Provider.objects.get()
    with damaged():
        edit_provider(provider=fresh, version=fresh.version, values={"legal_name": "1"}, by=world.first, context=None)
    assert RegisterState.objects.get().revision == saved[RegisterState][0]["revision"]


def test_the_same_revision_with_another_seal_is_another_register(world):
    current_register()
    known = rollback_guard.newest()
    assert known is not None
    rollback_guard.forget()
    rollback_guard.remember(rollback_guard.RegisterSnapshot(known.revision, "0" * 64, known.at, ()))
    forget_register()
    with damaged():
        current_register()


def test_a_new_machine_takes_what_it_finds_and_says_so(world, caplog):
    current_register()
    rollback_guard.forget()
    forget_register()
    caplog.clear()
    assert len(keys()) == 2
    assert "register_first_seen_here" in caplog.text
    assert json.loads(rollback_guard.file().read_text().split("\n")[0])["revision"] == RegisterState.objects.get().revision


def test_a_new_machine_still_has_the_audit_trail(world):
    """The register's tables were put back, the trail was not: its rows say which revision they made."""
    saved = backup()
    withdraw(world, world.intermediate)
    put_back(saved)
    rollback_guard.forget()
    forget_register()
    with pytest.raises(trust.RegisterError, match="audit trail records"):
        check_at_start()


def test_machines_with_different_files_do_not_disturb_one_another(world):
    current_register()
    first = rollback_guard.file().read_bytes()
    withdraw(world, world.intermediate)
    second = rollback_guard.file().read_bytes()
    assert first != second
    for file in (first, second):
        rollback_guard.forget()
        rollback_guard.file().write_bytes(file)
        forget_register()
        assert world.intermediate.spki_sha256 not in keys()
        assert (
            rollback_guard.file().read_bytes().split(b"\n")[0].startswith(b'{"revision":%d,' % RegisterState.objects.get().revision)
        )


def test_an_older_state_never_replaces_a_newer_one(world):
    current_register()
    newest = rollback_guard.newest()
    assert newest is not None
    rollback_guard.remember(rollback_guard.RegisterSnapshot(newest.revision - 1, "1" * 64, newest.at, ()))
    assert rollback_guard.newest() == newest
    new_process()
    assert rollback_guard.newest() == newest


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"revision":', b'"revision":1'),
        lambda data: data[:-20] + b"\n",
        lambda data: data + "ü".encode(),
        lambda _: b"",
        lambda _: b"\xff\xfe\x00",
        lambda _: b"{}\n",
    ],
)
def test_a_file_that_is_not_ours_stops_everything_until_the_owner_says(world, change):
    current_register()
    rollback_guard.file().write_bytes(change(rollback_guard.file().read_bytes()))
    new_process()
    with damaged():
        current_register()
    with pytest.raises(trust.RegisterError, match=r"register\.seen"):
        check_at_start()


def test_a_file_under_another_secret_key_is_another_registers(world, settings):
    current_register()
    settings.SECRET_KEY = "the next secret key of this server, long enough"
    call_command("register", "reseal", "--yes-the-list-is-right")
    new_process()
    assert len(keys()) == 2
    check_at_start()


def test_a_disk_that_takes_nothing_leaves_the_process_its_memory(world, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    rollback_guard.forget()
    monkeypatch.setattr(tempfile, "mkstemp", full)
    saved = backup()
    withdraw(world, world.intermediate)
    assert not rollback_guard.file().exists()
    put_back(saved)
    forget_register()
    with damaged():
        current_register()


def test_what_was_rolled_back_was_never_seen(world):
    before = RegisterState.objects.get().revision
    with transaction.atomic():
        world.provider.save()
        assert len(current_register().providers) == 1
        transaction.set_rollback(True)
    assert rollback_guard.in_memory() == before
    forget_register()
    assert len(keys()) == 2


# --- the owner restored a backup


def accept(capsys, *options: str) -> str:
    capsys.readouterr()
    call_command("register", "accept-restored", *options)
    return capsys.readouterr().out


def test_a_restored_backup_is_accepted_by_the_owner_who_reads_what_it_lacks(world, capsys):
    saved = backup()
    withdraw(world, world.intermediate)
    put_back(saved)
    elsewhere = rollback_guard.file().read_bytes()
    with pytest.raises(CommandError, match="--yes-the-backup-is-meant"):
        call_command("register", "accept-restored")
    shown = capsys.readouterr().out
    key = world.intermediate.spki_sha256
    assert f"- lost:    ca {key} withdrawn" in shown
    assert f"+ is back: ca {key} recognised" in shown
    forget_register()
    with damaged():
        current_register()  # nothing was accepted yet
    accept(capsys, "--yes-the-backup-is-meant")
    row = AuditEvent.objects.get(event="provider:register:resealed")
    assert row.details["step"] == "backup accepted"
    assert row.details["restored_revision"] == saved[RegisterState][0]["revision"]
    assert row.details["newest_revision_seen"] < row.details["revision"]
    for file in (rollback_guard.file().read_bytes(), elsewhere):  # here, and on a machine where nobody typed anything
        new_process()
        rollback_guard.file().write_bytes(file)
        check_at_start()
        assert len(keys()) == 2


def test_there_is_nothing_to_accept_in_a_register_that_was_not_put_back(world):
    with pytest.raises(CommandError, match="nothing to accept"):
        call_command("register", "accept-restored", "--yes-the-backup-is-meant")


def test_a_register_with_tampered_rows_is_no_backup(world):
    saved = backup()
    withdraw(world, world.intermediate)
    put_back(saved)
    CaRecord.objects.filter(pk=world.anchor.pk).delete()
    with pytest.raises(CommandError, match="restored whole"):
        call_command("register", "accept-restored", "--yes-the-backup-is-meant")


def test_an_emptied_database_is_a_register_that_was_put_back(world, capsys):
    current_register()
    for model in reversed(TABLES):
        model.objects.all().delete()
    new_process()
    with damaged():
        current_register()
    assert "lost:    provider lianxi" in accept(capsys, "--yes-the-backup-is-meant")
    new_process()
    assert current_register().providers == ()


# --- parts of it


def add(world, url: str = "http://a.example/") -> RevocationSource:
    return add_source(record=world.anchor, kind="crl", url=url, private_network=False, by=world.first, context=None)


def unseen_source(world) -> None:
    row = RevocationSource.objects.get()
    copy = RevocationSource(ca_record=row.ca_record, kind="ocsp", url="http://a.example/", mac=row.mac)
    RevocationSource.objects.bulk_create([copy])


@pytest.mark.parametrize("change", [lambda _: RevocationSource.objects.all().delete(), unseen_source], ids=["deleted", "added"])
def test_an_address_that_comes_or_goes_behind_the_servers_back_is_noticed(world, change):
    change(world)
    forget_register()
    with damaged():
        current_register()
    assert current_problems()[0].kind == ProblemKind.REGISTER_DAMAGED


def test_an_address_changed_in_its_row_is_a_problem_that_the_check_names(world, capsys):
    RevocationSource.objects.update(url="http://169.254.169.254/latest", private_network=True)
    forget_register()
    assert [problem.kind for problem in current_problems()] == [ProblemKind.SOURCE_TAMPERED]
    with pytest.raises(SystemExit):
        call_command("register", "check")
    assert "source_tampered" in capsys.readouterr().err
    row = RevocationSource.objects.get()
    with damaged():
        row.save()  # an edit does not make it the operators'
    remove_source(source=row, by=world.first, context=None)  # taking it away does no harm, and is the way out
    assert current_problems() == ()


def test_addresses_count_as_changes_and_what_fetching_brought_does_not(world):
    before = RegisterState.objects.get()
    at = timezone.now()
    row = RevocationSource.objects.get()
    RevocationSource.objects.filter(pk=row.pk).update(
        last_ok_at=at, this_update=at, next_update=at + timedelta(hours=1), sha256="a"
    )
    row.last_error, row.crl_number = "timed out", "7"
    row.save(update_fields=["last_error", "crl_number"])
    after = RegisterState.objects.get()
    assert (after.revision, after.mac, after.changed_at) == (before.revision, before.mac, before.changed_at)
    source = add_source(
        record=world.anchor, kind="crl", url="http://a.example/", private_network=False, by=world.first, context=None
    )
    assert RegisterState.objects.get().revision == before.revision + 1
    remove_source(source=source, by=world.first, context=None)
    assert RegisterState.objects.get().revision == before.revision + 2
    assert current_problems() == ()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda world: Provider.objects.filter(pk=world.provider.pk).update(rules={"revocation": {"mode": "off"}}),
        lambda world: Provider.objects.filter(pk=world.provider.pk).update(sites=["shanxi", "zcy"]),
    ],
)
def test_an_operators_edit_does_not_seal_what_somebody_else_wrote_into_the_row(world, tamper):
    tamper(world)
    fresh = Provider.objects.get()
    with damaged():
        edit_provider(provider=fresh, version=fresh.version, values={"legal_name": "12345"}, by=world.first, context=None)
    with damaged():
        suspend_provider(provider=fresh, reason="r", by=world.first, context=None)
    assert ProblemKind.PROVIDER_TAMPERED in {problem.kind for problem in current_problems()}


def test_a_tampered_record_is_not_sealed_by_its_next_step(world):
    CaRecord.objects.filter(pk=world.intermediate.pk).update(anchor=True)
    with damaged():
        withdraw(world, world.intermediate)
    assert ProblemKind.CA_TAMPERED in {problem.kind for problem in current_problems()}


def test_a_change_between_two_queries_of_one_reading_is_no_damage(world, monkeypatch):
    """An operator saves a hotline while a server reads the rows."""
    stored, saved = register_rows.stored_state, []

    def and_then_somebody_saves():
        state = stored()
        if not saved:
            saved.append(Provider.objects.get())
            saved[0].hotline = "1"
            saved[0].save()
        return state

    monkeypatch.setattr(register_rows, "stored_state", and_then_somebody_saves)
    forget_register()
    assert len(keys()) == 2
    assert saved
    assert current_problems() == ()


def test_damage_is_read_once_and_not_for_every_login(world, django_assert_num_queries):
    CaRecord.objects.filter(pk=world.intermediate.pk).delete()
    forget_register()
    with damaged():
        current_register()
    with django_assert_num_queries(0):
        for _ in range(5):
            with damaged():
                current_register()


def test_every_change_of_the_register_is_audited_with_the_revision_it_made(world):
    fresh = Provider.objects.get()
    edit_provider(provider=fresh, version=fresh.version, values={"legal_name": "1"}, by=world.first, context=None)
    source = add_source(
        record=world.anchor, kind="crl", url="http://a.example/", private_network=False, by=world.first, context=None
    )
    remove_source(source=source, by=world.first, context=None)
    withdraw(world, world.intermediate)
    suspend_provider(provider=world.provider, reason="r", by=world.first, context=None)
    changes = AuditEvent.objects.filter(event__startswith="provider:").order_by("id")
    revisions = [row.details["revision"] for row in changes]
    assert len(revisions) == 6
    assert revisions == sorted(set(revisions))
    assert revisions[-1] == RegisterState.objects.get().revision
