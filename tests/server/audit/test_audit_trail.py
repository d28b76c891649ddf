"""The audit trail: safe to write anything into, and every single change to it is found and named."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone
from worlds.browser import logged_in
from worlds.practice import id_card

from calock.core.refusals import Reason, Refusal
from calock.core.trail.heads import Head
from calock.server.audit import heads, sealing
from calock.server.audit.canonical import clean, mac_of, new_number
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing import BATCH, seal_audit
from calock.server.audit.sealing_keys import enter_key, first_key
from calock.server.audit.services import build, record, record_refusal
from calock.server.audit.tree import public_hex, seal_key
from calock.server.audit.verification import verify_audit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_heads_file():
    heads_path().unlink(missing_ok=True)
    yield
    heads_path().unlink(missing_ok=True)


def heads_path():
    return heads.heads_path(timezone.now())


def rows(count):
    return [record(Event.LOGIN_CA_REFUSED, reason=Reason.LOCK_NOT_BOUND, details={"n": n}) for n in range(count)]


def findings():
    return verify_audit().findings


def sql(text, *values):
    with connection.cursor() as cursor:
        cursor.execute(text, values)


def test_a_trail_nobody_touched_is_whole():
    rows(5)
    assert seal_audit(at=timezone.now()) == 5
    rows(2)
    report = verify_audit()
    assert (report.rows, report.sealed, report.findings) == (7, 5, [])


@pytest.mark.parametrize("column", ["reason", "event", "actor", "at", "details", "ip", "number"])
def test_a_changed_row_is_named(column):
    made = rows(4)
    seal_audit(at=timezone.now())
    value = {
        "actor": "11111111111111111111111111111111",
        "at": "2020-01-01 00:00:00",
        "details": '{"n":9}',
        "ip": "10.9.9.9",
    }.get(column, "x")
    sql(f"UPDATE audit_auditevent SET {column} = %s WHERE id = %s", value, made[2].pk)
    assert made[2].pk in {finding.row for finding in findings()}
    assert {finding.row for finding in findings()} == {made[2].pk}


def test_an_unsealed_row_that_was_changed_is_named_as_well():
    made = rows(3)
    sql("UPDATE audit_auditevent SET reason = '' WHERE id = %s", made[1].pk)
    assert [finding.row for finding in findings()] == [made[1].pk]


def test_what_is_no_mac_at_all_is_named_and_sealing_goes_on():
    made = rows(3)
    sql("UPDATE audit_auditevent SET mac = %s WHERE id = %s", "锁" * 9, made[1].pk)
    assert seal_audit(at=timezone.now()) == 3
    assert [finding.row for finding in findings()] == [made[1].pk]


def test_a_deleted_row_is_named():
    made = rows(6)
    seal_audit(at=timezone.now())
    sql("DELETE FROM audit_auditevent WHERE id = %s", made[3].pk)
    found = findings()
    assert [(finding.row, finding.what) for finding in found] == [(made[3].pk, "deleted")]


def test_two_rows_that_changed_places_are_named():
    made = rows(4)
    seal_audit(at=timezone.now())
    sql("UPDATE audit_auditevent SET id = 999999 WHERE id = %s", made[0].pk)
    sql("UPDATE audit_auditevent SET id = %s WHERE id = %s", made[0].pk, made[1].pk)
    sql("UPDATE audit_auditevent SET id = %s WHERE id = 999999", made[1].pk)
    assert {finding.row for finding in findings()} == {made[0].pk, made[1].pk}


def test_a_row_written_with_the_stolen_key_after_sealing_is_found():
    made = rows(2)
    gap = made[1].pk
    seal_audit(at=timezone.now())
    row = AuditEvent.objects.get(pk=gap)
    row.reason = Reason.ACCOUNT_DISABLED.value
    sql("UPDATE audit_auditevent SET reason = %s, mac = %s WHERE id = %s", row.reason, mac_of(row), gap)
    assert [(finding.row, finding.what) for finding in findings()] == [(gap, "changed after its batch was sealed")]


def test_a_tail_cut_off_with_its_seals_is_found_by_the_file_outside():
    made = rows(4)
    seal_audit(at=timezone.now())
    rows(3)
    seal_audit(at=timezone.now())
    sql("DELETE FROM audit_auditevent WHERE id > %s", made[-1].pk)
    sql("DELETE FROM audit_auditseal WHERE seq = 2")
    texts = [str(finding) for finding in findings()]
    assert any("seal 2" in text and "gone from the database" in text for text in texts)
    assert any("3 rows are gone" in text for text in texts)


def test_a_head_made_with_another_key_is_found():
    rows(2)
    seal_audit(at=timezone.now())
    head = json.loads(heads_path().read_text())
    head["root"] = "00" * 32
    heads_path().write_text(json.dumps(head, sort_keys=True, separators=(",", ":")) + "\n")
    texts = [str(finding) for finding in findings()]
    assert any("not signed by a known sealing key" in text for text in texts)
    assert any("not the one in the heads file" in text for text in texts)


def test_a_list_of_leaves_made_to_fit_a_changed_row_is_found():
    made = rows(2)
    seal_audit(at=timezone.now())
    seal = AuditSeal.objects.get()
    AuditSeal.objects.update(leaves=bytes(seal.leaves)[:40])
    texts = [str(finding) for finding in findings()]
    assert "seal 1: its list of rows was changed" in texts
    assert any(f"row {made[1].pk}" in text for text in texts)


def test_sealing_goes_on_in_batches_and_twice_changes_nothing():
    AuditEvent.objects.bulk_create([_unsaved() for _ in range(BATCH + 5)])
    assert seal_audit(at=timezone.now()) == BATCH + 5
    assert seal_audit(at=timezone.now()) == 0
    assert [seal.seq for seal in AuditSeal.objects.all()] == [1, 2]
    assert len(heads_path().read_text().splitlines()) == 2
    assert findings() == []


def _unsaved():
    return build(Event.LOGIN_CA_REFUSED)


def test_heads_that_a_crash_kept_from_the_file_are_written_the_next_time():
    rows(1)
    seal_audit(at=timezone.now())
    heads_path().unlink()
    seal_audit(at=timezone.now())
    assert findings() == []


def test_the_command_names_the_bad_row_and_fails(capsys):
    made = rows(3)
    seal_audit(at=timezone.now())
    call_command("verify_audit")
    assert "whole: 3 rows, 3 of them sealed" in capsys.readouterr().out
    sql("UPDATE audit_auditevent SET reason = '' WHERE id = %s", made[0].pk)
    with pytest.raises(CommandError) as refused:
        call_command("verify_audit")
    assert refused.value.returncode == 1
    assert f"row {made[0].pk} ({made[0].number})" in capsys.readouterr().out


def test_rows_cannot_be_changed_or_deleted_through_the_application():
    row = rows(1)[0]
    for attempt in (row.save, row.delete, AuditEvent.objects.all().delete, lambda: AuditEvent.objects.update(reason="")):
        with pytest.raises(TypeError):
            attempt()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\r\ntwo", "one··two"),
        ("\x1b[31mred", "·[31mred"),
        ("a\x00b", "a·b"),
        ("right\u202eleft", "right·left"),
        ("\ud800", "·"),
        ("x" * 1_000_000, "x" * 299 + "…"),
    ],
)
def test_text_from_outside_becomes_one_short_printable_line(text, shown):
    assert clean(text) == shown
    row = record(Event.REQUEST_REFUSED, details={"detail": text})
    assert AuditEvent.objects.get(pk=row.pk).details["detail"] == shown


def test_numbers_can_be_read_out_and_do_not_repeat():
    now = timezone.now()
    numbers = {new_number(now) for _ in range(2000)}
    assert len(numbers) == 2000
    assert all(len(number) == 21 and not set(number) & set("ILOU") for number in numbers)


PERSON = id_card("14010119900101123")
SHOWN = "*" * 14 + PERSON[-4:]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"张三 {PERSON} 来电", f"张三 {SHOWN} 来电"),
        (f'{{"reason": "{PERSON}"}}', f'{{"reason": "{SHOWN}"}}'),
        ("字" * 290 + PERSON, "字" * 290 + "*" * 9 + "…"),  # cut in the middle of it
        ("ab" * 23 + PERSON, "ab" * 23 + PERSON),  # a SHA-256 that happens to hold such digits stays evidence
        (f"{PERSON} {'ab' * 32}", f"{SHOWN} {'ab' * 32}"),
        ("9" * 14 + PERSON, "9" * 14 + SHOWN),  # as long as a hash, but nothing but digits
        ("crl 2026-11-22T00:00:00+00:00 2026-11-23T00:00:00+00:00", "crl 2026-11-22T00:00:00+00:00 2026-11-23T00:00:00+00:00"),
    ],
)
def test_personal_ids_are_masked_in_every_detail_and_hashes_are_left_whole(text, kept):
    refusal = Refusal(Reason.LOCK_NOT_BOUND, text)
    record_refusal(Event.LOGIN_CA_REFUSED, refusal, context=None)
    assert record(Event.LOGIN_CA_REFUSED, details={"any": text}).details["any"] == kept
    assert AuditEvent.objects.get(number=refusal.number).details["detail"] == kept
    assert findings() == []


def test_a_row_slipped_in_before_the_seal_is_not_vouched_for_by_it_whatever_key_it_names():
    made = rows(2)
    sql("UPDATE audit_auditevent SET mac = %s, reason = '' WHERE id = %s", "k0000000." + "A" * 43, made[1].pk)
    seal_audit(at=timezone.now())
    assert [(finding.row, finding.what) for finding in findings()] == [(made[1].pk, "changed: its MAC does not fit")]


def test_half_a_line_that_a_full_disk_left_is_cut_off_and_the_head_is_written_again(caplog):
    rows(2)
    seal_audit(at=timezone.now())
    for torn in (b'{"at":"2026-11-2', b"\xff" * 4096):
        with heads_path().open("ab") as file:
            file.write(torn)
        assert any("unreadable" in str(finding) for finding in findings())
        rows(1)
        assert seal_audit(at=timezone.now()) == 1
        assert findings() == []
    assert caplog.text.count("audit_heads_mended") == 2
    whole = heads_path().read_bytes()
    heads_path().write_bytes(whole[:-20])
    assert seal_audit(at=timezone.now()) == 0
    assert heads_path().read_bytes() == whole
    assert findings() == []


def test_each_month_has_a_file_of_its_own():
    rows(1)
    seal_audit(at=timezone.now())
    later = [datetime(2031, month, 1, tzinfo=UTC) for month in (1, 2)]
    try:
        for at in later:
            rows(1)
            assert seal_audit(at=at) == 1
        assert [len(path.read_text().splitlines()) for path in heads.heads_files()] == [1, 1, 1]
        assert findings() == []
        heads.heads_path(later[0]).unlink()
        assert any("seal 2 is not in the heads file" in str(finding) for finding in findings())
    finally:
        for path in heads.heads_files():
            path.unlink()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_flt08_sealing_waits_for_a_transaction_that_wrote_a_row_and_nobody_waits_for_sealing(monkeypatch):
    monkeypatch.setattr(sealing, "PATIENCE", 0.2)
    wrote, end = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            rows(1)
            wrote.set()
            end.wait(30)
        connections.close_all()

    writer = threading.Thread(target=slow)
    writer.start()
    assert wrote.wait(30)
    rows(1)
    assert seal_audit(at=timezone.now()) == 0
    rows(1)  # it holds no lock that this could meet
    end.set()
    writer.join()
    assert seal_audit(at=timezone.now()) == 3
    assert findings() == []


@pytest.fixture
def machines(settings, tmp_path):
    """``machines("a")`` makes what follows happen on machine a, which is new the first time."""
    base = settings.CALOCK

    def on(name):
        (tmp_path / name).mkdir(exist_ok=True)
        settings.CALOCK = replace(base, data=tmp_path / name)
        return tmp_path / name

    return on


def seal():
    return seal_audit(at=timezone.now())


def test_flt02_a_new_machine_seals_once_another_ones_seal_let_its_key_in_and_both_call_the_trail_whole(machines, capsys):
    machines("a")
    rows(1)
    assert seal() == 1
    machines("b")
    rows(1)
    with pytest.raises(CommandError, match="does not know this machine's sealing key"):
        call_command("seal_audit")
    assert seal() == 0  # and asks no second time
    assert AuditEvent.objects.filter(event=Event.SEALING_KEY_ADDED).count() == 1
    call_command("verify_audit")
    machines("a")
    assert seal() == 2
    for name in ("b", "a", "b"):
        machines(name)
        rows(1)
        assert seal() == 1
    keys = {name: public_hex(seal_key(machines(name))) for name in ("a", "b")}
    assert {json.loads(line)["key"] for line in AuditSeal.objects.values_list("head", flat=True)} == set(keys.values())
    for name in ("a", "b", "new"):
        machines(name)
        call_command("verify_audit")
        call_command("verify_audit", "--public-key", keys["a"])
        assert f"sealing key {keys['a']}: the first" in capsys.readouterr().out
        with pytest.raises(CommandError):
            call_command("verify_audit", "--public-key", keys["b"])


def test_flt02_a_key_that_no_known_key_sealed_is_a_finding_whoever_wrote_it(machines):
    machines("a")
    rows(2)
    seal()
    stranger = Ed25519PrivateKey.generate()
    row = enter_key(stranger, trail=first_key())
    sql("UPDATE audit_auditevent SET mac = %s WHERE id = %s", mac_of(record(Event.SERVER_FAILED)), row.pk)
    assert [(finding.row, finding.what) for finding in findings()] == [(row.pk, "changed: its MAC does not fit")]
    seal()  # vouches for it as for a row that the server did not write
    assert {finding.row for finding in findings()} == {row.pk}
    assert any("is not known: no known key sealed its row" in finding.what for finding in findings())
    last = AuditSeal.objects.last()
    head = Head.of_line(last.head)
    head = replace(head, key=public_hex(stranger))
    AuditSeal.objects.filter(pk=last.pk).update(head=replace(head, signature=stranger.sign(head.signed_bytes()).hex()).line())
    assert any("not one that a known key signed" in finding.what for finding in findings())


def test_flt02_a_trail_made_anew_under_another_key_is_not_the_one_that_a_machine_joined(machines):
    machines("a")
    rows(1)
    seal()
    machines("b")
    seal()
    rows(1)
    seal()
    machines("a")
    seal()
    call_command("verify_audit")
    AuditSeal.objects.all().delete()
    machines("forger")
    seal()
    for name in ("a", "b"):
        for file in machines(name).glob("audit-heads*"):
            file.unlink()
        assert any("never joined it" in finding.what or "joins this trail" in finding.what for finding in findings())


def test_flt02_when_no_machine_with_a_known_key_is_left_the_owner_lets_a_new_one_go_on_and_the_trail_says_so(machines, capsys):
    machines("a")
    rows(1)
    seal()
    machines("b")
    rows(1)
    call_command("seal_audit", "--no-other-machine-is-left")
    call_command("verify_audit")
    taken = AuditEvent.objects.get(event=Event.SEALING_KEY_ADDED)
    assert f"took over, row {taken.number}" in capsys.readouterr().out
    with pytest.raises(CommandError):  # whoever noted the first key decides for themselves
        call_command("verify_audit", "--public-key", first_key())
    call_command("verify_audit", "--public-key", first_key(), taken.details["key"])


@pytest.mark.parametrize("key", ["kept", "lost"])
def test_flt10_a_restored_backup_is_told_by_the_trail_and_old_sessions_do_not_come_back(lock_world, machines, key):
    data = machines("a")
    browser = logged_in(lock_world.member)
    rows(2)
    seal_audit(at=timezone.now())
    backup = AuditEvent.objects.order_by("-pk").first().pk
    rows(3)
    seal_audit(at=timezone.now())
    sql("DELETE FROM audit_auditevent WHERE id > %s", backup)
    sql("DELETE FROM audit_auditseal WHERE seq > 1")
    assert findings()
    if key == "lost":
        (data / "audit-seal.key").unlink()
    with pytest.raises(CommandError, match="yes-the-backup-is-meant"):
        call_command("restored")
    assert browser.client.get("/apps/").status_code == 200
    call_command("restored", "--yes-the-backup-is-meant")
    assert browser.client.get("/apps/").status_code != 200
    for _ in range(2):
        rows(1)
        seal_audit(at=timezone.now())
        call_command("verify_audit")
    row = AuditEvent.objects.get(event=Event.RESTORED)
    assert (row.details["kept_seal"], row.details["last_head_here"]) == (1, 2)
    sql("DELETE FROM audit_auditseal WHERE seq > 1003")
    assert any("gone from the database" in str(finding) for finding in findings())


def test_sec20_everything_deleted_at_once_is_told_by_a_copy_of_the_heads(tmp_path, capsys):
    rows(4)
    seal_audit(at=timezone.now())
    copy = shutil.copy(heads_path(), tmp_path)
    call_command("verify_audit", "--heads", copy)
    sql("DELETE FROM audit_auditevent")
    sql("DELETE FROM audit_auditseal")
    heads_path().unlink()
    call_command("verify_audit")  # nothing is left here that could tell
    with pytest.raises(CommandError):
        call_command("verify_audit", "--heads", copy)
    assert "4 rows are gone" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no such file"):
        call_command("verify_audit", "--heads", str(tmp_path / "nowhere"))
