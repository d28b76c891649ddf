"""Is the audit trail whole? Every row against its MAC, every sealed batch against its signed head, every head against the files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from django.conf import settings
from django.db.models import Max

from calock.core.trail.heads import Head, digest_of, vouches
from calock.server.audit.archived import archived_through
from calock.server.audit.canonical import has_no_key, is_intact
from calock.server.audit.findings import MISFIT, Finding
from calock.server.audit.heads import published
from calock.server.audit.heads_check import compared
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing_keys import KnownKeys, first_key, key_rows, known_keys, states
from calock.server.audit.tree import leaf, leaves_of, own_key

CHUNK = 2000
SEALS_AT_ONCE = 20
TOLD = 1000
"""Findings that a report names; the others are counted."""


@dataclass(slots=True)
class Report:
    keys: KnownKeys
    since: int
    """Number of the first seal that was looked at."""
    last_seal: int = 0
    rows: int = 0
    sealed: int = 0
    by_seal_alone: int = 0
    """Rows whose secret was taken away: no MAC speaks about them, their signed seals do."""
    findings: list[Finding] = field(default_factory=list)
    """The first ``TOLD`` of them."""
    finding_count: int = 0
    archived: int = 0
    """The last seal whose rows an archive holds instead of the database."""


def verify_audit(*, trusted: Collection[str] = (), heads: Iterable[tuple[str, str]] | None = None, since: int = 1) -> Report:
    """Look at everything from seal number ``since`` on, in memory that does not grow with the trail.

    ``trusted``: the keys (raw Ed25519, hex) that the trail must hang on, as noted outside the database. ``heads``: lines of heads
    from places outside of database and data directory, each with its place; None: this machine's own files.
    """
    keys = known_keys(trusted)
    report = Report(keys, since, archived=archived_through(keys))
    own = own_key(settings.CALOCK.data)
    found = [_keys(report.keys, own="" if trusted else own), _sealed(report), _unsealed(report)]
    if heads is not None or own:  # a machine that never sealed has no files
        found.append(compared(published() if heads is None else heads, report.keys, since=since))
    for finding in chain.from_iterable(found):
        report.finding_count += 1
        if len(report.findings) < TOLD:
            report.findings.append(finding)
    return report


def is_whole(row: AuditEvent) -> bool:
    """Whether a row is as it was written: by its MAC, or by its seal when its secret was taken away."""
    if is_intact(row):
        return True
    seal = AuditSeal.objects.filter(first_id__lte=row.pk, last_id__gte=row.pk).first() if has_no_key(row) else None
    if seal is None:
        return False
    findings = _batch(seal, seal.first_id - 1, Report({}, 1))
    return not any(finding.row in (None, row.pk) for finding in findings)


def _keys(known: KnownKeys, *, own: str) -> Iterator[Finding]:
    """Rows that enter keys and are sealed by no known key, and a trail that is not the one this machine belongs to."""
    trail, rows = first_key(), key_rows()
    sealed = AuditSeal.objects.aggregate(last=Max("last_id"))["last"] or 0
    for row in rows:
        if not states(row, trail=trail):
            yield Finding("a sealing key that did not sign that it joins this trail", row.pk, row.number)
        elif row.pk <= sealed and row.details["key"] not in known:
            yield Finding(f"sealing key {row.details['key']} is not known: no known key sealed its row", row.pk, row.number)
    if own and trail and own not in known and not any(states(row, trail=trail) and row.details["key"] == own for row in rows):
        yield Finding(f"this trail begins with sealing key {trail}, and this machine's, {own}, never joined it")


def _sealed(report: Report) -> Iterator[Finding]:
    """Every seal against the one before and its signature, and its rows against its leaves."""
    before = AuditSeal.objects.filter(seq__lt=report.since).defer("leaves").order_by("-seq").first()
    for seal in _seals(report.since):
        try:
            head = Head.of_line(seal.head)
        except ValueError:
            yield Finding(f"seal {seal.seq}: its head is unreadable")
        else:
            named = (head.seq, head.first, head.last) == (seal.seq, seal.first_id, seal.last_id)
            if not (named and head.is_signed_by_one_of(report.keys)):
                yield Finding(f"seal {seal.seq}: its head is not one that a known key signed")
            if head.previous != (digest_of(before.head) if before else ""):
                yield Finding(f"seal {seal.seq} does not follow the one before")
        yield from _batch(seal, before.last_id if before else 0, report)
        before = seal
    report.last_seal = before.seq if before else 0


def _seals(since: int) -> Iterator[AuditSeal]:
    while some := list(AuditSeal.objects.filter(seq__gte=since).order_by("seq")[:SEALS_AT_ONCE]):
        yield from some
        since = some[-1].seq + 1


def _batch(seal: AuditSeal, after: int, report: Report) -> Iterator[Finding]:
    """Rows behind ``after`` to the seal's last against the leaves that its root vouches for: missing, added, changed."""
    leaves = leaves_of(seal)
    try:
        vouched = vouches(Head.of_line(seal.head), leaves)
    except ValueError:
        vouched = False
    if not vouched:
        yield Finding(f"seal {seal.seq}: its list of rows was changed")
    for row in AuditEvent.objects.filter(pk__gt=after, pk__lte=seal.last_id).order_by("pk").iterator(chunk_size=CHUNK):
        report.rows += 1
        report.sealed += 1
        what = _what_is_wrong(row, leaves.pop(row.pk, None), report)
        if what:
            yield Finding(what, row.pk, row.number)
    if leaves and seal.seq > report.archived:
        for pk in leaves:
            yield Finding("deleted", pk)


def _what_is_wrong(row: AuditEvent, kept: bytes | None, report: Report) -> str:
    """With a row of a sealed batch; empty = nothing. ``kept``: its leaf, None when the batch does not hold it."""
    intact, without_key = is_intact(row), has_no_key(row)
    if not (intact or without_key):
        return MISFIT
    report.by_seal_alone += without_key
    if kept is None:
        return "added after its batch was sealed"
    if kept == leaf(row, intact=False):
        return MISFIT
    return "" if kept == leaf(row) else "changed after its batch was sealed"


def _unsealed(report: Report) -> Iterator[Finding]:
    last = AuditSeal.objects.aggregate(last=Max("last_id"))["last"] or 0
    for row in AuditEvent.objects.filter(pk__gt=last).order_by("pk").iterator(chunk_size=CHUNK):
        report.rows += 1
        if not is_intact(row):
            yield Finding(MISFIT, row.pk, row.number)
