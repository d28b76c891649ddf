"""With which locks an account gets in, as the rows have it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from calock.server.accounts.models import Account
from calock.server.locks.binding_rows import LockStatus, status_of
from calock.server.locks.models import CURRENT, Binding, LockCertificate


class WayIn(NamedTuple):
    binding: Binding
    certificate: LockCertificate


def ways_in(account: Account, *, at: datetime) -> list[WayIn]:
    """The account's bindings that log in, with certificates that are valid at ``at``. Revocation data are not looked at."""
    bound = {row.lock_id: row for row in Binding.objects.logging_in().filter(account=account).select_related("account", "lock")}
    current = LockCertificate.objects.filter(CURRENT, lock__in=bound).defer("sealed_der").select_related("ca_record__provider")
    good = (row for row in current if status_of(row, at) in (LockStatus.VALID, LockStatus.EXPIRING))
    return [WayIn(bound[row.lock_id], row) for row in good]
