"""The heads in files, this machine's or copies of them elsewhere, against the seals in the database: what is gone, what differs."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import islice

from calock.core.trail.heads import Head
from calock.server.audit.findings import Finding
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.restores import gaps

AT_ONCE = 500


def compared(lines: Iterable[tuple[str, str]], known: Container[str], *, since: int) -> Iterator[Finding]:
    """Findings about heads from seal number ``since`` on. ``lines``: each with the place where it stands.

    Several machines publish all heads, so lines may come twice and in any order.
    """
    seen: set[int] = set()
    findings: list[Finding] = []
    lost = gaps()
    heads_of = _read(lines, findings)
    while some := list(islice(heads_of, AT_ONCE)):
        yield from findings
        findings.clear()
        heads = [(where, head) for where, head in some if head.seq >= since and head.seq]
        stored = dict(AuditSeal.objects.filter(seq__in={head.seq for _, head in heads}).values_list("seq", "head"))
        for where, head in heads:
            if head.seq not in stored and any(kept < head.seq <= last for kept, last in lost.items()):
                continue  # a restore says that it is gone, and its key perhaps with it
            if known and not head.is_signed_by_one_of(known):
                yield Finding(f"{where}: head {head.seq} is not signed by a known sealing key")
            if head.seq not in seen:
                yield from _against(stored.get(head.seq), head)
            seen.add(head.seq)
    yield from findings
    yield from _unpublished(seen, since)


def _read(lines: Iterable[tuple[str, str]], findings: list[Finding]) -> Iterator[tuple[str, Head]]:
    for where, line in lines:
        try:
            yield where, Head.of_line(line)
        except ValueError:
            findings.append(Finding(f"{where}: unreadable"))


def _against(stored: str | None, head: Head) -> Iterator[Finding]:
    if stored is None:
        yield Finding(f"seal {head.seq} (rows {head.first} to {head.last}, {head.count} of them) is gone from the database")
        left = AuditEvent.objects.filter(pk__gte=head.first, pk__lte=head.last).count()
        if left < head.count:
            yield Finding(f"{head.count - left} rows are gone between {head.first} and {head.last}")
    elif stored != head.line():
        yield Finding(f"seal {head.seq} in the database is not the one in the heads file")


def _unpublished(seen: set[int], since: int) -> Iterator[Finding]:
    """Seals that no file has, but for those behind the newest published one: another machine may just have made them."""
    newest = max(seen, default=None)
    missing: list[int] = []
    seals = AuditSeal.objects.filter(seq__gte=since).order_by("seq").values_list("seq", flat=True)
    for seq in seals.iterator(chunk_size=AT_ONCE):
        if newest is not None and seq > newest:
            break
        if seq in seen:
            continue
        if missing and seq != missing[-1] + 1:
            yield _not_published(missing)
            missing.clear()
        missing.append(seq)
    if missing:
        yield _not_published(missing)


def _not_published(missing: list[int]) -> Finding:
    first, last = missing[0], missing[-1]
    return Finding(
        f"seal {first} is not in the heads file" if first == last else f"seals {first} to {last} are not in the heads file"
    )
