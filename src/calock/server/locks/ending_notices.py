"""Reminders of a lock's end are hidden when they are over: it was renewed, unbound or reported lost, or a newer one says more."""

from __future__ import annotations

from datetime import datetime

from calock.server.locks.models import Binding
from calock.server.notices.models import Notice, NoticeKind

REMINDERS = (NoticeKind.LOCK_EXPIRES, NoticeKind.LOCK_EXPIRED)


def withdraw_reminders(binding: Binding, *, at: datetime) -> None:
    """Hide what is open about this binding's certificate, inside the caller's transaction."""
    open_ones = Notice.objects.open_for(binding.account_id).filter(kind__in=REMINDERS, facts__binding=str(binding.pk))
    open_ones.order_by().update(dismissed_at=at)
