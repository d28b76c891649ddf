"""Seal audit rows in batches. Runs in the background: no login ever waits for the one before it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Max

from calock.server.audit.canonical import is_intact
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.tree import Head, digest_of, leaf, public_hex, root, seal_key

BATCH = 1000
LOCK_TIMEOUT = "2s"


def heads_path() -> Path:
    """The file outside the database. Copy it off this machine: whoever holds a copy can tell that rows are gone."""
    data: Path = settings.CALOCK.data
    return data / "audit-heads.jsonl"


def _settled_id() -> int:
    """The highest id below which every row is there that will ever be there.

    Ids are drawn before rows commit, so a lower one can appear later. On PostgreSQL a moment's SHARE lock waits for the writers
    that are under way; on SQLite there is only one writer at a time.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                cursor.execute("LOCK TABLE audit_auditevent IN SHARE MODE")
        return AuditEvent.objects.aggregate(last=Max("pk"))["last"] or 0


def seal_audit(*, at: datetime) -> int:
    """Seal every settled row that is not sealed yet, and write the heads outside the database; how many rows.

    Called by the jobs runner every minute. When writers do not let the lock through, or another replica seals, it does nothing.
    """
    try:
        settled = _settled_id()
    except OperationalError:
        return 0
    sealed = 0
    while True:
        previous = AuditSeal.objects.order_by("seq").last()
        after = previous.last_id if previous else 0
        rows = list(AuditEvent.objects.filter(pk__gt=after, pk__lte=settled).order_by("pk")[:BATCH])
        if not rows:
            break
        try:
            with transaction.atomic():
                _seal(rows, previous, at=at).save(force_insert=True)
        except IntegrityError:  # another replica sealed this batch
            break
        sealed += len(rows)
    publish_heads()
    return sealed


def _seal(rows: list[AuditEvent], previous: AuditSeal | None, *, at: datetime) -> AuditSeal:
    key = seal_key(settings.CALOCK.data)
    leaves = [leaf(row, intact=is_intact(row)) for row in rows]
    head = Head(
        seq=previous.seq + 1 if previous else 1,
        first=rows[0].pk,
        last=rows[-1].pk,
        count=len(rows),
        root=root(leaves).hex(),
        previous=digest_of(previous.head) if previous else "",
        at=at.isoformat(timespec="seconds"),
        key=public_hex(key),
    )
    head = replace(head, signature=key.sign(head.signed_bytes()).hex())
    packed = b"".join(row.pk.to_bytes(8, "big") + hash_ for row, hash_ in zip(rows, leaves, strict=True))
    return AuditSeal(seq=head.seq, first_id=head.first, last_id=head.last, leaves=packed, head=head.line(), sealed_at=at)


def last_published() -> int:
    """Number of the last head in the file; 0 when there is none."""
    try:
        lines = heads_path().read_text("utf-8").splitlines()
    except FileNotFoundError:
        return 0
    return Head.of_line(lines[-1]).seq if lines else 0


def publish_heads() -> None:
    """Append heads that the file does not have yet, and make sure that they are on the disk."""
    missing = list(AuditSeal.objects.filter(seq__gt=last_published()).order_by("seq").values_list("head", flat=True))
    if not missing:
        return
    with heads_path().open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in missing)
        file.flush()
        os.fsync(file.fileno())
