"""Logins to an account that were refused: what its holder should see to notice that somebody else tries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from calock.core.refusals import Reason
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.web.refusals import describe

SHOWN = 20


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """``why`` is the first sentence of what was told then."""

    at: datetime
    by_lock: bool
    ip: str
    user_agent: str
    why: str
    number: str


def refused_logins(account: Account) -> list[RefusedLogin]:
    """The newest: with the account's password, or with a lock that is bound to it now."""
    locks = Binding.objects.filter(account=account, unbound_at__isnull=True).values("lock")
    with_password = AuditEvent.objects.filter(actor=account.pk, event=Event.LOGIN_PASSWORD_REFUSED.value)
    with_lock = AuditEvent.objects.filter(lock__in=locks, event=Event.LOGIN_CA_REFUSED.value)
    rows = [row for query in (with_password, with_lock) for row in query.order_by("-id")[:SHOWN]]
    return [_shown(row) for row in sorted(rows, key=lambda row: -row.pk)[:SHOWN]]


def _shown(row: AuditEvent) -> RefusedLogin:
    told: str = describe(Reason(row.reason))["message"]
    return RefusedLogin(
        at=row.at,
        by_lock=row.event == Event.LOGIN_CA_REFUSED.value,
        ip=row.ip or "",
        user_agent=row.user_agent,
        why=re.split(r"[。；;.]", told)[0],
        number=row.number,
    )
