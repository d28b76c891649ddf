"""When only one lock of an account is left that logs in, its person should hear of it before that one ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q

from calock.server.accounts.models import Account
from calock.server.locks.binding_rows import SOON
from calock.server.locks.models import Binding
from calock.server.locks.unbinding import REPLACED
from calock.server.locks.ways_in import ways_in

LATELY = timedelta(days=30)
"""For so long after another lock was unbound, but by its successor, or reported lost."""


class LastLock(NamedTuple):
    binding: Binding
    until: datetime


def last_lock(account: Account, *, at: datetime) -> LastLock | None:
    """The one lock that is left, from 30 days before it ends, and for 30 days after another one went; else None."""
    ways = ways_in(account, at=at)
    if len(ways) != 1:
        return None
    binding, certificate = ways[0]
    soon = certificate.not_after - at <= SOON
    return LastLock(binding, certificate.not_after) if soon or _one_went(account, at) else None


def _one_went(account: Account, at: datetime) -> bool:
    unbound = Q(unbound_at__gt=at - LATELY) & ~Q(reason=REPLACED)  # another one came for it
    went = unbound | Q(unbound_at__isnull=True, suspended_at__gt=at - LATELY)
    return bool(Binding.objects.filter(went, account=account).exists())
