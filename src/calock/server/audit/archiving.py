"""Bring sealed rows of the audit trail into files that verify by themselves, and let the database go of them.

What stays in the database is enough for ``verify_audit``: every seal with its signed head and its leaves (40 octets a row instead
of a thousand), and the rows by which the trail is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet

from calock.core.trail.archive import TOLD, check_archive, head_line, row_line
from calock.server.audit.archived import KEPT, archived_through
from calock.server.audit.canonical import canonical
from calock.server.audit.events import Event
from calock.server.audit.keepers import keepers
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing_keys import known_keys
from calock.server.audit.services import record
from calock.server.audit.tree import leaf, leaves_of
from calock.server.tools.files import replacing

SEALS_IN_A_FILE = 100


class ArchiveError(RuntimeError):
    """The trail is not whole there, or what was asked for is not allowed; nothing was let go of."""


@dataclass(frozen=True, slots=True)
class Archived:
    first_seal: int
    last_seal: int
    rows: int
    deleted: int
    """Rows of these seals, and of earlier ones whose deletion was broken off."""
    files: tuple[Path, ...]
    """Empty when only such a deletion was finished."""


def archive_audit(*, until: datetime, folder: Path, delete: bool, now: datetime) -> Archived | None:
    """Write every seal of before ``until`` whose rows are still here; None when there is nothing to do.

    The trail says that rows are deleted before they are. So a deletion that was broken off is finished first.

    Raises:
        ArchiveError: a row is not as it was sealed; ``delete`` of rows that must be kept longer.
        OSError: the folder cannot be written to.
    """
    keep = timedelta(days=settings.CALOCK.keep.audit)
    if delete and until > now - keep:
        raise ArchiveError(
            f"rows of the last {keep.days} days are kept (CALOCK_KEEP_AUDIT_DAYS): until {now - keep:%Y-%m-%d} at most"
        )
    keys = known_keys()
    through = archived_through(keys)
    deleted = _delete_all(AuditSeal.objects.filter(seq__lte=through)) if delete else 0
    seals = AuditSeal.objects.filter(seq__gt=through, sealed_at__lt=until)
    last = seals.aggregate(last=Max("seq"))["last"]
    if last is None:
        return Archived(0, 0, 0, deleted, ()) if deleted else None
    numbers = list(seals.order_by("seq").values_list("seq", flat=True))
    chunks = [numbers[start : start + SEALS_IN_A_FILE] for start in range(0, len(numbers), SEALS_IN_A_FILE)]
    files = tuple(_write(folder, chunk) for chunk in chunks)
    report = check_archive(_lines(files), trusted=keys)
    if report.findings:
        raise ArchiveError(f"what was written does not verify: {report.findings[0]}")
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()
    details: dict[str, str | int | bool] = {"first_seal": numbers[0], "last_seal": last, "rows": report.rows, "sha256": digest}
    if report.misfits:
        details["misfits"] = " ".join(map(str, report.misfits[:TOLD]))
    record(Event.AUDIT_ARCHIVED, details={**details, "deleted": delete})
    deleted += _delete_all(seals.filter(seq__lte=last)) if delete else 0
    return Archived(numbers[0], last, report.rows, deleted, files)


def _write(folder: Path, numbers: list[int]) -> Path:
    path = folder / f"audit-{numbers[0]:08}-{numbers[-1]:08}.jsonl"
    with replacing(path) as file:
        for number in numbers:
            for line in _segment(AuditSeal.objects.get(seq=number)):
                file.write(f"{line}\n".encode())
    return path


def _segment(seal: AuditSeal) -> Iterator[str]:
    """A seal's head and its rows, each as its leaf vouches for it."""
    yield head_line(seal.head)
    leaves = leaves_of(seal)
    rows = AuditEvent.objects.filter(pk__in=leaves).order_by("pk")
    for row in rows:
        kept = leaves.pop(row.pk)
        intact = kept == leaf(row)
        if not intact and kept != leaf(row, intact=False):
            raise ArchiveError(f"row {row.pk} ({row.number}) was changed after its batch was sealed")
        yield row_line(row.pk, row.mac, canonical(row), intact=intact)
    if leaves:
        raise ArchiveError(f"rows of seal {seal.seq} are gone, among them {min(leaves)}")


def _lines(files: tuple[Path, ...]) -> Iterator[tuple[str, str]]:
    for path in files:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}, line {number}", line


def _delete_all(seals: QuerySet[AuditSeal]) -> int:
    return sum(_delete(number) for number in list(seals.order_by("seq").values_list("seq", flat=True)))


def _delete(number: int) -> int:
    """The rows of one seal, in a transaction of its own. One that was not whole when it was sealed stays: an alarm does not end."""
    with transaction.atomic():
        leaves = leaves_of(AuditSeal.objects.get(seq=number))
        rows = AuditEvent.objects.filter(pk__in=leaves).exclude(event__in=KEPT)
        whole = [row for row in rows if leaves[row.pk] == leaf(row)]
        for keeper in keepers():
            keeper.keep(whole)
        gone: int = AuditEvent.objects.filter(pk__in=[row.pk for row in whole]).delete_archived()
        return gone
