"""When only one lock of an account is left that logs in, its person should hear of it before that one ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from calock.server.accounts.models import Account
from calock.server.locks.binding_rows import SOON, LockStatus, status_of
from calock.server.locks.models import CURRENT, Binding, LockCertificate

LATELY = timedelta(days=30)
"""For so long after another lock was unbound or reported lost."""


class LastLock(NamedTuple):
    binding: Binding
    until: datetime


def last_lock(account: Account, *, at: datetime) -> LastLock | None:
    """The one lock that is left, from 30 days before it ends, and for 30 days after another one went; else None."""
    bound = {row.lock_id: row for row in Binding.objects.logging_in().filter(account=account).select_related("account", "lock")}
    current = LockCertificate.objects.filter(CURRENT, lock__in=bound).defer("sealed_der").select_related("ca_record__provider")
    good = [row for row in current if status_of(row, at) in (LockStatus.VALID, LockStatus.EXPIRING)]
    if len(good) != 1:
        return None
    left = good[0]
    soon = left.not_after - at <= SOON
    return LastLock(bound[left.lock_id], left.not_after) if soon or _one_went(account, at) else None


def _one_went(account: Account, at: datetime) -> bool:
    went = Q(unbound_at__gt=at - LATELY) | Q(unbound_at__isnull=True, suspended_at__gt=at - LATELY)
    return bool(Binding.objects.filter(went, account=account).exists())
