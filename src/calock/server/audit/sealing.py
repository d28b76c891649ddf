"""Seal audit rows in batches. Runs in the background: no login ever waits for the one before it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from calock.core.trail.heads import Head, digest_of, root
from calock.server.audit.canonical import is_intact
from calock.server.audit.heads import publish_heads
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.restores import gaps
from calock.server.audit.sealing_keys import enter_key, first_key, has_asked, known_keys
from calock.server.audit.tree import leaf, note_trail, own_trail, public_hex, seal_key

log = structlog.get_logger(__name__)

BATCH = 1000
PATIENCE = 2.0
"""Seconds to wait for transactions that may still write a row before the last one; then the next round tries again."""
_WRITERS = """
SELECT virtualtransaction FROM pg_locks
WHERE locktype = 'relation' AND relation = 'audit_auditevent'::regclass AND mode = 'RowExclusiveLock' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid IS DISTINCT FROM pg_backend_pid()
"""


def _settled_id() -> int | None:
    """The highest id below which every row is there that will ever be there; None when writers are under way for too long.

    Ids are drawn before rows commit, so a lower one can appear later. On PostgreSQL the transaction that drew one locks the
    table until its end; we wait until those are gone that hold such a lock now, as CREATE INDEX CONCURRENTLY does, and hold
    nothing ourselves that a login could meet. On SQLite there is only one writer at a time.
    """
    last: int = AuditEvent.objects.aggregate(last=Max("pk"))["last"] or 0
    if connection.vendor == "postgresql":
        until = time.monotonic() + PATIENCE
        writers = _writers()
        while writers:
            if time.monotonic() >= until:
                return None
            time.sleep(0.02)
            writers &= _writers()
    return last


def _writers() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS)
        return {name for (name,) in cursor.fetchall()}


def seal_audit(*, at: datetime) -> int:
    """Seal every settled row that is not sealed yet, and write the heads outside the database; how many rows.

    Called by the jobs runner every minute. When writers do not end, or another replica seals, it seals nothing; nor does a machine
    whose key the trail does not know yet: it asks to be known, and another machine's next seal answers. Nor does one that finds
    another trail than the one it belongs to.
    """
    key = seal_key(settings.CALOCK.data)
    settled = _settled_id()
    sealed = 0
    while settled is not None:
        previous = AuditSeal.objects.order_by("seq").last()
        trail, noted = first_key() if previous else public_hex(key), own_trail(settings.CALOCK.data)
        if noted and noted != trail:
            log.error("audit_trail_is_another", noted=noted, found=trail)
            return sealed
        if previous and public_hex(key) not in known_keys():
            _ask_to_be_known(key)
            break
        note_trail(settings.CALOCK.data, trail)
        after = previous.last_id if previous else 0
        rows = list(AuditEvent.objects.filter(pk__gt=after, pk__lte=settled).order_by("pk")[:BATCH])
        if not rows:
            break
        try:
            with transaction.atomic():
                _seal(rows, previous, key, at=at).save(force_insert=True)
        except IntegrityError:  # another replica sealed this batch
            break
        sealed += len(rows)
    publish_heads(at=at)
    return sealed


def _ask_to_be_known(key: Ed25519PrivateKey) -> None:
    """Once for each seal of the others: the key of the last one may not have been known either."""
    if not has_asked(public_hex(key)):
        log.warning("audit_sealing_key_not_known_yet", key=public_hex(key))
        enter_key(key, trail=first_key())


def _seal(rows: list[AuditEvent], previous: AuditSeal | None, key: Ed25519PrivateKey, *, at: datetime) -> AuditSeal:
    last = previous.seq if previous else 0
    leaves = [leaf(row, intact=is_intact(row)) for row in rows]
    head = Head(
        seq=gaps().get(last, last) + 1,
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
