"""When only one lock of an account is left that logs in, its person should hear of it before that one ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet

from calock.server.accounts.models import Account
from calock.server.locks.binding_rows import SOON
from calock.server.locks.models import CURRENT, Binding, LockCertificate
from calock.server.locks.ways_in import ways_in
from calock.server.tools.prepared import prepared

LATELY = timedelta(days=30)
"""For so long after another lock was unbound, but by its successor, or reported lost."""


class LastLock(NamedTuple):
    binding: Binding
    until: datetime


def last_lock(account: Account, *, at: datetime) -> LastLock | None:
    """The one lock that is left, from 30 days before it ends, and for 30 days after another one went; else None."""
    if not _ending_or_gone(account.pk, at + SOON, at - LATELY):  # as with nearly everybody
        return None
    ways = ways_in(account, at=at)
    if len(ways) != 1:
        return None
    binding, certificate = ways[0]
    soon = certificate.not_after - at <= SOON
    return LastLock(binding, certificate.not_after) if soon or _gone(account.pk, at - LATELY) else None


@prepared
def _gone(account: Any, since: Any) -> QuerySet[Binding]:
    """One that is the account's no longer, or reported lost."""
    rows: QuerySet[Binding] = Binding.objects.filter(account=account)
    return rows.filter(_went(since))[:1]


@prepared
def _ending_or_gone(account: Any, soon: Any, since: Any) -> QuerySet[Binding]:
    """The same, or one whose certificate ends soon: without any there is nothing to say."""
    current = LockCertificate.objects.filter(CURRENT, lock=OuterRef("lock"), not_after__lte=soon)
    rows: QuerySet[Binding] = Binding.objects.filter(account=account)
    return rows.filter(_went(since) | Q(Exists(current), unbound_at__isnull=True))[:1]


def _went(since: Any) -> Q:
    return Q(unbound_at__gt=since, replaced_by__isnull=True) | Q(unbound_at__isnull=True, suspended_at__gt=since)
