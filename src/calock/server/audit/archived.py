"""Up to which seal the rows were let go of, after an archive took them: the trail itself says so, in rows that stay."""

from __future__ import annotations

from collections.abc import Collection

from calock.server.audit.canonical import has_no_key, is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.sealing_keys import is_sealed_by

KEPT = (Event.AUDIT_ARCHIVED, Event.SEALING_KEY_ADDED, Event.RESTORED)
"""Rows by which the trail is read; they are never let go of."""


def archived_through(keys: Collection[str]) -> int:
    """The last seal whose rows may be missing; 0 when nothing was let go of. ``keys``: those whose seals count."""
    rows = AuditEvent.objects.filter(event=Event.AUDIT_ARCHIVED)
    said = [row for row in rows if is_intact(row) or (has_no_key(row) and is_sealed_by(row, keys))]
    return max((int(row.details["last_seal"]) for row in said if row.details["deleted"]), default=0)
