"""Is the audit trail whole? Every row against its MAC, every sealed batch against its signed head, every head against the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db.models import Max

from calock.server.audit.canonical import has_no_key, is_intact
from calock.server.audit.heads import published
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.restores import gaps
from calock.server.audit.tree import Head, digest_of, leaf, root

CHUNK = 2000
MISFIT = "changed: its MAC does not fit"


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
    by_seal_alone: int
    """Rows whose secret was taken away: no MAC speaks about them, their signed seals do."""
    findings: tuple[Finding, ...]


def verify_audit(*, public_key: str, heads: Sequence[Path] = ()) -> Report:
    """Look at everything.

    ``public_key``: the sealing key (raw Ed25519, hex) as noted outside the database. ``heads``: copies of the files of heads, kept
    where whoever emptied database and data directory does not reach; empty: this machine's own.
    """
    seals = AuditSeal.objects.order_by("seq")
    last = seals.aggregate(last=Max("last_id"))["last"] or 0
    without_key: list[int] = []
    findings = [*_rows(last, without_key)]
    findings += _file(public_key, heads)
    findings += _chain(seals.defer("leaves").iterator(chunk_size=CHUNK), public_key)
    for seal in seals.iterator(chunk_size=20):
        findings += _batch(seal)
    rows = AuditEvent.objects.count()
    sealed = AuditEvent.objects.filter(pk__lte=last).count()
    return Report(rows, sealed, len(without_key), tuple(dict.fromkeys(findings)))


def is_whole(row: AuditEvent) -> bool:
    """Whether a row is as it was written: by its MAC, or by its seal when its secret was taken away."""
    if is_intact(row):
        return True
    seal = AuditSeal.objects.filter(first_id__lte=row.pk, last_id__gte=row.pk).first() if has_no_key(row) else None
    return seal is not None and not any(finding.row in (None, row.pk) for finding in _batch(seal))


def _rows(last_sealed: int, without_key: list[int]) -> Iterator[Finding]:
    for row in AuditEvent.objects.order_by("pk").iterator(chunk_size=CHUNK):
        if is_intact(row):
            continue
        if row.pk <= last_sealed and has_no_key(row):
            without_key.append(row.pk)
        else:
            yield Finding(MISFIT, row.pk, row.number)


def _heads(public_key: str, files: Sequence[Path]) -> Iterator[Head | Finding]:
    """The file's heads in order, and what is wrong with the file."""
    expected, previous = 1, ""
    restored = {last + 1: kept for kept, last in gaps().items()}
    digests = {0: ""}
    for where, line in published(files):
        try:
            head = Head.of_line(line)
        except ValueError:
            yield Finding(f"{where}: unreadable")
            continue
        if not head.is_signed_by(public_key):
            yield Finding(f"{where}: head {head.seq} is not signed by the sealing key")
        if head.seq in restored and expected <= head.seq:  # the chain goes on where the restored backup ended
            expected, previous = head.seq, digests.get(restored[head.seq], previous)
        if head.seq != expected or head.previous != previous:
            yield Finding(f"{where}: head {head.seq} does not follow the one before")
        expected, previous = head.seq + 1, digest_of(line)
        if head.seq in restored.values():
            digests[head.seq] = previous
        yield head


def _file(public_key: str, files: Sequence[Path]) -> Iterator[Finding]:
    stored = dict(AuditSeal.objects.values_list("seq", "head"))
    newest = 0
    lost = gaps()
    for item in _heads(public_key, files):
        if isinstance(item, Finding):
            yield item
            continue
        newest = max(newest, item.seq)
        if item.seq not in stored and any(kept < item.seq <= last for kept, last in lost.items()):
            continue
        if item.seq not in stored:
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
        if seq < newest or not newest:  # newer ones another machine may just have made; their signatures are checked anyway
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
        elif kept[pk] == leaf(row, intact=False):
            yield Finding(MISFIT, pk, row.number)
        elif leaf(row) != kept[pk] and (is_intact(row) or has_no_key(row)):
            yield Finding("changed after its batch was sealed", pk, row.number)
