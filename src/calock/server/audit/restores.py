"""Restores of a backup, as the trail itself tells them: which seals the database lost, so that this is not taken for tampering."""

from __future__ import annotations

from django.conf import settings
from django.db.models import Max

from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.heads import last_published
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.sealing_keys import take_over
from calock.server.audit.services import record
from calock.server.audit.tree import seal_key

RESERVE = 1000
"""Numbers of seals that are left out behind the last head known here: another machine may have published more."""


def record_restored(*, sessions_ended: int) -> AuditEvent:
    """Write that a backup was restored, and between which seals the trail has a gap now. Before anything is sealed again.

    This machine's sealing key goes on with the trail then, also when the backup does not know it.
    """
    kept = AuditSeal.objects.aggregate(last=Max("seq"))["last"] or 0
    published = last_published()
    take_over(seal_key(settings.CALOCK.data))
    details = {"kept_seal": kept, "last_head_here": published, "gap_to_seal": max(kept, published) + RESERVE}
    return record(Event.RESTORED, details={**details, "sessions_ended": sessions_ended})


def gaps() -> dict[int, int]:
    """The last seal that a restored backup held, and the last number that may not be there, for each restore."""
    rows = [row for row in AuditEvent.objects.filter(event=Event.RESTORED).order_by("pk") if is_intact(row)]
    return {row.details["kept_seal"]: row.details["gap_to_seal"] for row in rows}
