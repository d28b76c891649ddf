"""Rows that somebody put back as they were, with the seal of that time: the trail tells.

A binding before its end or before 挂失, an account before its password was chosen anew. A seal proves that the server once wrote
the row, not that it is the newest. The trail is only added to, each row of it has a MAC of its own, and what is taken out of it
is found (docs/decisions/audit.md). It knows no more than it still holds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from django.db.models import QuerySet

from calock.server.accounts.models import Account
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.tools.rekeying import batches

CHOSEN = (Event.ACCOUNT_PASSWORD_CHANGED, Event.ACCOUNT_PASSWORD_CHOSEN, Event.ACCOUNT_PASSWORD_RESET)
APART = timedelta(minutes=1)
"""By so much an act's row in the trail may be younger than what the act wrote."""


def put_back_rows() -> Iterator[str]:
    """One line for each."""
    live: QuerySet[Binding] = Binding.objects.live().select_related("account")
    for batch in _said(Event.BINDING_ENDED):
        yield from _among(live, batch, "ended")
    for batch in _said(Event.BINDING_SUSPENDED):
        yield from _among(live.filter(suspended_at=None), [row for row in batch if not _is_resumed(row)], "was reported lost")
    for batch in _said(*CHOSEN):
        yield from _former_passwords({row.subject: row.at for row in batch if row.subject})


def _said(*events: Event) -> Iterator[list[AuditEvent]]:
    for batch in batches(AuditEvent.objects.filter(event__in=events)):
        yield [row for row in batch if is_intact(row)]


def _among(rows: QuerySet[Binding], said: Iterable[AuditEvent], what: str) -> Iterator[str]:
    for row in rows.filter(pk__in={row.details["binding"] for row in said}):
        yield f"binding {row.pk} of {row.account.username}: it {what}"


def _is_resumed(row: AuditEvent) -> bool:
    later = AuditEvent.objects.filter(event=Event.BINDING_RESUMED, lock=row.lock, pk__gt=row.pk)
    return any(other.details["binding"] == row.details["binding"] and is_intact(other) for other in later)


def _former_passwords(chosen: dict[uuid.UUID, datetime]) -> Iterator[str]:
    """``chosen``: when the trail says last that an account's password was chosen or taken away."""
    for row in Account.objects.filter(pk__in=chosen):
        known = max((at for at in (row.password_changed_at, row.password_reset_at) if at), default=None)
        if known is None or chosen[row.pk] - known > APART:
            yield f"account {row.username}: its password was chosen anew"
