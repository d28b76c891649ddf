"""Rows that have served: deleted after the days that are set, in batches that hold nobody up.

The audit trail says what happened; these only let a page show it, but for receipts, which are evidence and are kept for decades.
Bindings, locks, approvals and accounts stay: they are evidence
(docs/decisions/retention.md has every table).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from calock.core.challenge import Purpose
from calock.server.accounts.models import PasswordCode
from calock.server.audit.canonical import first_number_after
from calock.server.expiry.models import Reminder
from calock.server.imports.models import ImportRun
from calock.server.locks.models import Binding
from calock.server.notices.models import Notice
from calock.server.receipts.models import Receipt
from calock.server.sessions.models import Session

BATCH = 2000
_ENTERING = (Purpose.LOGIN, Purpose.STEPUP)
"""Receipts that show who was there; the others show whose lock it is."""
CODES = timedelta(days=30)
"""One-time codes after their end, used or not: an hour would do, a month answers who asks."""

REMINDED = timedelta(days=400)
"""After the certificate's end: rows that say which reminders were written. They are there so that none is written twice, which
could be only until a month after that end.
"""


def let_go(*, at: datetime) -> int:
    """Delete what is older than its days; how many rows."""
    keep = settings.CALOCK.keep
    return sum(
        _delete(rows)
        for rows in (
            Session.objects.filter(expires_at__lt=at - timedelta(days=keep.sessions)),
            Notice.objects.filter(dismissed_at__lt=at - timedelta(days=keep.notices)),
            ImportRun.objects.filter(finished_at__lt=at - timedelta(days=keep.imports)),
            PasswordCode.objects.filter(expires_at__lt=at - CODES),
            _receipts(at - timedelta(days=keep.login_receipts)).filter(purpose__in=_ENTERING),
            _of_ended_bindings(at - timedelta(days=keep.binding_receipts)),
            Reminder.objects.filter(certificate__not_after__lt=at - REMINDED),
        )
    )


def _receipts(before: datetime) -> QuerySet[Receipt]:
    """Those of before a moment, by the primary key: numbers begin with the day. An index over ``at`` each login would write."""
    return Receipt.objects.filter(number__lt=first_number_after(before), at__lt=before)


def _of_ended_bindings(before: datetime) -> QuerySet[Receipt]:
    """Receipts of bindings that ended before a moment: while a lock is bound, how it came to be is told."""
    ended = Binding.objects.filter(pk=OuterRef("binding"), unbound_at__lt=before)
    return _receipts(before).exclude(purpose__in=_ENTERING).filter(Exists(ended))


def _delete(rows: QuerySet[Any]) -> int:
    """Each batch is a transaction of its own."""
    gone = 0
    while batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        gone += rows.model._default_manager.filter(pk__in=batch).delete()[0]  # noqa: SLF001 - Django's public name for it
    return gone
