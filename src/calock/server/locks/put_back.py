"""Bindings that somebody put back as they were before their end or before 挂失, with the seal of that time: the trail tells.

A seal proves that the server once wrote the row, not that it is the newest. The trail is only added to, each row of it has a MAC of
its own, and what is taken out of it is found (docs/decisions/audit.md). It knows no more than it still holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import QuerySet

from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.tools.rekeying import batches


def put_back_bindings() -> Iterator[str]:
    """One line for each."""
    live: QuerySet[Binding] = Binding.objects.live().select_related("account")
    for batch in batches(AuditEvent.objects.filter(event=Event.BINDING_ENDED)):
        yield from _among(live, batch, "ended")
    for batch in batches(AuditEvent.objects.filter(event=Event.BINDING_SUSPENDED)):
        yield from _among(live.filter(suspended_at=None), [row for row in batch if not _is_resumed(row)], "was reported lost")


def _among(rows: QuerySet[Binding], said: list[AuditEvent], what: str) -> Iterator[str]:
    keys = {row.details["binding"] for row in said if is_intact(row)}
    for row in rows.filter(pk__in=keys):
        yield f"binding {row.pk} of {row.account.username}: it {what}"


def _is_resumed(row: AuditEvent) -> bool:
    later = AuditEvent.objects.filter(event=Event.BINDING_RESUMED, lock=row.lock, pk__gt=row.pk)
    return any(other.details["binding"] == row.details["binding"] and is_intact(other) for other in later)
