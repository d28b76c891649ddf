"""Is the audit trail whole? Every row against its MAC, every sealed batch against its signed head, every head against the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Max

from calock.server.audit.canonical import is_intact
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing import heads_path
from calock.server.audit.tree import Head, digest_of, leaf, root

CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. ``row`` is the id of the audit row, None when it is about a seal."""

    what: str
    row: int | None = None
    number: str = ""

    def __str__(self) -> str:
        return f"row {self.row}{f' ({self.number})' if self.number else ''}: {self.what}" if self.row is not None else self.what


@dataclass(frozen=True, slots=True)
class Report:
    rows: int
    sealed: int
    findings: tuple[Finding, ...]


def verify_audit(*, public_key: str) -> Report:
    """Look at everything. ``public_key``: the sealing key (raw Ed25519, hex) as noted outside the database."""
    findings = [*_rows()]
    findings += _file(public_key)
    seals = AuditSeal.objects.order_by("seq")
    findings += _chain(seals.defer("leaves").iterator(chunk_size=CHUNK), public_key)
    for seal in seals.iterator(chunk_size=20):
        findings += _batch(seal)
    last = seals.aggregate(last=Max("last_id"))["last"] or 0
    rows = AuditEvent.objects.count()
    return Report(rows, AuditEvent.objects.filter(pk__lte=last).count(), tuple(dict.fromkeys(findings)))


def _rows() -> Iterator[Finding]:
    for row in AuditEvent.objects.order_by("pk").iterator(chunk_size=CHUNK):
        if not is_intact(row):
            yield Finding("changed: its MAC does not fit", row.pk, row.number)


def _heads(public_key: str) -> Iterator[Head | Finding]:
    """The file's heads in order, and what is wrong with the file."""
    path = heads_path()
    expected, previous = 1, ""
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else [], start=1):
        try:
            head = Head.of_line(line)
        except ValueError:
            yield Finding(f"heads file, line {number}: unreadable")
            continue
        if not head.is_signed_by(public_key):
            yield Finding(f"heads file, line {number}: head {head.seq} is not signed by the sealing key")
        if head.seq != expected or head.previous != previous:
            yield Finding(f"heads file, line {number}: head {head.seq} does not follow the one before")
        expected, previous = head.seq + 1, digest_of(line)
        yield head


def _file(public_key: str) -> Iterator[Finding]:
    stored = dict(AuditSeal.objects.values_list("seq", "head"))
    for item in _heads(public_key):
        if isinstance(item, Finding):
            yield item
        elif item.seq not in stored:
            what = f"seal {item.seq} (rows {item.first} to {item.last}, {item.count} of them) is gone from the database"
            yield Finding(what)
            known = set(AuditEvent.objects.filter(pk__gte=item.first, pk__lte=item.last).values_list("pk", flat=True))
            if len(known) < item.count:
                yield Finding(f"{item.count - len(known)} rows are gone between {item.first} and {item.last}")
        elif stored.pop(item.seq) != item.line():
            yield Finding(f"seal {item.seq} in the database is not the one in the heads file")
        else:
            continue
    for seq in stored:
        yield Finding(f"seal {seq} is not in the heads file")


def _chain(seals: Iterable[AuditSeal], public_key: str) -> Iterator[Finding]:
    previous: AuditSeal | None = None
    for seal in seals:
        try:
            head = Head.of_line(seal.head)
        except ValueError:
            yield Finding(f"seal {seal.seq}: its head is unreadable")
            previous = seal
            continue
        if not head.is_signed_by(public_key) or (head.seq, head.first, head.last) != (seal.seq, seal.first_id, seal.last_id):
            yield Finding(f"seal {seal.seq}: its head is not the one that was signed")
        if head.previous != (digest_of(previous.head) if previous else ""):
            yield Finding(f"seal {seal.seq} does not follow the one before")
        previous = seal


def _batch(seal: AuditSeal) -> Iterator[Finding]:
    """Rows of one batch against the leaves that its root vouches for: missing, added, changed."""
    packed = bytes(seal.leaves)
    kept = {int.from_bytes(packed[at : at + 8], "big"): packed[at + 8 : at + 40] for at in range(0, len(packed), 40)}
    try:
        vouched = bool(kept) and root(list(kept.values())).hex() == Head.of_line(seal.head).root
    except ValueError:
        vouched = False
    if not vouched:
        yield Finding(f"seal {seal.seq}: its list of rows was changed")
    rows = {row.pk: row for row in AuditEvent.objects.filter(pk__gte=seal.first_id, pk__lte=seal.last_id)}
    for pk in sorted(kept.keys() - rows.keys()):
        yield Finding("deleted", pk)
    for pk, row in sorted(rows.items()):
        if pk not in kept:
            yield Finding("added after its batch was sealed", pk, row.number)
        elif leaf(row) != kept[pk] and is_intact(row):
            yield Finding("changed after its batch was sealed", pk, row.number)
