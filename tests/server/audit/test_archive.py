"""Archives of the audit trail: they verify by themselves, the database may let go of what they hold, and the trail stays whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.utils import timezone

from calock.cli import main
from calock.server.audit import archiving, sealing
from calock.server.audit.archiving import ArchiveError, archive_audit
from calock.server.audit.events import Event
from calock.server.audit.findings import MISFIT
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing import seal_audit
from calock.server.audit.services import record
from calock.server.audit.tree import own_key
from calock.server.audit.verification import verify_audit

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=2000)


@pytest.fixture
def trail(tmp_path, settings, monkeypatch):
    """Three seals of three rows that are old enough to be let go of, and two rows of today."""
    settings.CALOCK = replace(settings.CALOCK, data=tmp_path)
    monkeypatch.setattr(sealing, "BATCH", 3)
    for number in range(9):
        record(Event.LOGIN_CA_SUCCEEDED, details={"n": number, "words": "张三 – “x”"})
    seal_audit(at=LONG_AGO)
    record(Event.SESSION_ENDED)
    record(Event.SESSION_ENDED)
    seal_audit(at=timezone.now())
    folder = tmp_path / "archive"
    folder.mkdir()
    return folder


def archive(folder, *, delete: bool = False):
    return archive_audit(until=LONG_AGO + timedelta(days=1), folder=folder, delete=delete, now=timezone.now())


def verified(folder, *keys: str) -> int:
    return main(["audit", "verify", str(folder), *(part for key in keys for part in ("--public-key", key))])


def test_an_archive_verifies_by_itself_and_the_trail_is_whole_without_its_rows(trail, settings, capsys):
    key = own_key(settings.CALOCK.data)
    made = archive(trail, delete=True)
    assert (made.first_seal, made.last_seal, made.rows, made.deleted) == (1, 3, 9, 9)
    assert verified(trail, key) == 0
    assert f"whole: seals 1 to 3, 9 rows, signed by {key}" in capsys.readouterr().out
    assert AuditEvent.objects.count() == 3
    assert verify_audit().findings == []
    row = AuditEvent.objects.get(event=Event.AUDIT_ARCHIVED)
    assert (row.details["last_seal"], row.details["deleted"]) == (3, True)
    seal_audit(at=timezone.now())
    assert verify_audit().findings == []
    assert archive(trail) is None, "what was let go of is not asked for again"
    texts = [json.loads(line) for line in (trail / "audit-00000001-00000003.jsonl").read_text("utf-8").splitlines()]
    assert [text["row"]["details"]["n"] for text in texts if "row" in text] == list(range(9))


def test_without_the_word_nothing_is_deleted_and_the_same_archive_may_be_made_again(trail):
    first = archive(trail)
    octets = first.files[0].read_bytes()
    assert first.deleted == 0
    assert AuditEvent.objects.filter(event=Event.LOGIN_CA_SUCCEEDED).count() == 9
    assert archive(trail).files[0].read_bytes() == octets


def test_a_deletion_that_was_broken_off_is_finished_the_next_time(trail, monkeypatch, capsys):
    real, seen = archiving._delete, []

    def breaks_off(number):
        seen.append(number)
        if len(seen) == 2:
            raise ConnectionError("the database is gone")
        return real(number)

    monkeypatch.setattr(archiving, "_delete", breaks_off)
    with pytest.raises(ConnectionError):
        archive(trail, delete=True)
    assert AuditEvent.objects.filter(event=Event.LOGIN_CA_SUCCEEDED).count() == 6
    assert archive(trail) is None, "nothing is deleted without the word"
    call_command("archive_audit", until=(LONG_AGO + timedelta(days=1)).date(), to=trail, delete=True)
    assert "nothing to archive; 6 rows of earlier archives" in capsys.readouterr().out
    assert not AuditEvent.objects.filter(event=Event.LOGIN_CA_SUCCEEDED).exists()
    assert verify_audit().findings == []
    assert archive(trail, delete=True) is None


def test_rows_that_must_be_kept_longer_are_not_deleted(trail, settings):
    with pytest.raises(ArchiveError, match="rows of the last 1095 days are kept"):
        archive_audit(until=timezone.now() - timedelta(days=200), folder=trail, delete=True, now=timezone.now())
    with pytest.raises(CommandError, match="rows of the last"):
        call_command("archive_audit", until=timezone.now().date(), to=trail, delete=True)
    assert AuditEvent.objects.count() == 11
    assert not list(trail.iterdir())


def test_a_trail_that_is_not_whole_is_not_archived_away(trail):
    AuditEvent.objects.filter(details__n=4)._raw_delete("default")
    with pytest.raises(ArchiveError, match="rows of seal 2 are gone"):
        archive(trail, delete=True)
    assert AuditEvent.objects.filter(event=Event.LOGIN_CA_SUCCEEDED).count() == 8


def test_a_row_that_somebody_forged_before_it_was_sealed_does_not_vanish_through_the_archive(trail, capsys):
    row = AuditEvent(number="261129-AAAA-AAAA-AAAA", at=LONG_AGO, event=Event.LOGIN_CA_SUCCEEDED, details={"n": 99}, mac="x")
    [forged] = AuditEvent.objects.bulk_create([row])
    seal_audit(at=LONG_AGO)
    AuditSeal.objects.update(sealed_at=LONG_AGO)
    made = archive(trail, delete=True)
    assert made.deleted == made.rows - 1
    assert AuditEvent.objects.get(event=Event.AUDIT_ARCHIVED).details["misfits"] == str(forged.pk)
    assert [(finding.row, finding.what) for finding in verify_audit().findings] == [(forged.pk, MISFIT)]
    assert verified(trail) == 1
    assert f"row {forged.pk}: its MAC did not fit when it was sealed\n" in capsys.readouterr().out


def test_deleting_rows_stays_an_alarm_where_no_archive_holds_them(trail):
    archive(trail, delete=True)
    AuditEvent.objects.filter(event=Event.SESSION_ENDED)._raw_delete("default")
    assert [finding.what for finding in verify_audit().findings] == ["deleted", "deleted"]
    forged = AuditEvent.objects.get(event=Event.AUDIT_ARCHIVED)
    AuditEvent.objects.filter(pk=forged.pk)._raw_delete("default")
    assert len(verify_audit().findings) == 11, "a trail that nobody archived has lost its rows"


def test_whoever_writes_into_the_database_that_rows_are_archived_is_not_believed(trail):
    details = {"last_seal": 3, "deleted": True}
    row = AuditEvent(number="261129-AAAA-AAAA-AAAA", at=timezone.now(), event=Event.AUDIT_ARCHIVED, details=details, mac="x")
    AuditEvent.objects.bulk_create([row])
    AuditEvent.objects.filter(event=Event.LOGIN_CA_SUCCEEDED)._raw_delete("default")
    assert verify_audit().finding_count == 10


def edited(text: str, what: str) -> str:
    lines = text.splitlines(keepends=True)
    if what == "a value":
        return text.replace('"n": 4', '"n": 44')
    if what == "a row left out":
        return "".join(line for line in lines if '"n": 4' not in line)
    if what == "a seal left out":
        start = [number for number, line in enumerate(lines) if "head" in line]
        return "".join(lines[: start[1]] + lines[start[2] :])
    if what == "rows exchanged":
        lines[1], lines[2] = lines[2], lines[1]
        return "".join(lines)
    if what == "the end cut off":
        return text[: len(text) // 2]
    if what == "not text":
        return text + "\x00\xff{}\n[]\n1\n"
    return text.replace('"intact": true', '"intact": false', 1)


@pytest.mark.parametrize(
    "what", ["a value", "a row left out", "a seal left out", "rows exchanged", "the end cut off", "not text", "what the MAC said"]
)
def test_an_archive_that_was_changed_says_so(trail, what, capsys):
    path = archive(trail).files[0]
    path.write_text(edited(path.read_text("utf-8"), what), "utf-8")
    assert verified(trail) == 1
    assert "not whole" in capsys.readouterr().out


def test_an_archive_that_somebody_else_signed_is_not_of_the_key_that_was_noted(trail, settings):
    archive(trail)
    assert verified(trail, own_key(settings.CALOCK.data)) == 0
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    assert verified(trail, other) == 1
    assert verified(trail / "nowhere") == 2


def test_keys_that_joined_later_are_known_by_the_rows_that_entered_them(trail, settings, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    first_machine = settings.CALOCK
    settings.CALOCK = replace(settings.CALOCK, data=second)
    record(Event.SESSION_ENDED)
    seal_audit(at=LONG_AGO)  # asks to be known
    settings.CALOCK = first_machine
    seal_audit(at=LONG_AGO)
    settings.CALOCK = replace(settings.CALOCK, data=second)
    record(Event.SESSION_ENDED)
    seal_audit(at=LONG_AGO)
    assert len({json.loads(line)["key"] for line in AuditSeal.objects.values_list("head", flat=True)}) == 2
    AuditSeal.objects.update(sealed_at=LONG_AGO)
    made = archive(trail, delete=True)
    assert verified(trail, own_key(first_machine.data)) == 0
    assert AuditEvent.objects.filter(event=Event.SEALING_KEY_ADDED).count() == made.rows - made.deleted == 1
    assert verify_audit().findings == []
