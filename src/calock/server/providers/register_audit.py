"""The register in the audit trail: each row about a change says which revision it made, and so which one cannot be the newest.

Rows are sealed into a hash tree whose signed heads leave the database (``audit``): they prove the revisions to an auditor.
"""

from __future__ import annotations

import json
from typing import Any

from calock.server.accounts.models import Account
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.providers.models import Provider, RegisterState
from calock.server.providers.seal import RegisterDamagedError
from calock.server.sessions.context import RequestContext

CHANGES = (
    Event.PROVIDER_CREATED, Event.PROVIDER_CHANGED, Event.PROVIDER_SUSPENDED, Event.PROVIDER_RESUMED,
    Event.REGISTER_RESEALED, Event.ANCHOR_APPROVED, Event.ANCHOR_SUSPENDED, Event.ANCHOR_RESUMED, Event.ANCHOR_WITHDRAWN,
    Event.REVOCATION_SOURCE_CHANGED,
)  # fmt: skip
"""What changes the register."""


def revision() -> int:
    """Revision of the register as this transaction sees it."""
    return RegisterState.objects.filter(pk=1).values_list("revision", flat=True).first() or 0


def record_change(
    event: Event, provider: Provider, operator: Account | None, context: RequestContext | None, details: dict[str, Any]
) -> None:
    """The audit row of one change of the register: in its transaction, and after it, so that it names the revision it made."""
    flat = {key: value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False) for key, value in details.items()}
    flat["revision"] = revision()
    record(event, actor=operator, context=context, subject=provider.pk, provider=provider.code, details=flat)


def last_recorded() -> int:
    """The revision of the newest change that the audit trail speaks of; 0 = of none, or of one whose row is not ours."""
    rows = AuditEvent.objects.filter(event__in=CHANGES)
    row = rows.order_by("-id").first()
    if row is None or not is_intact(row):
        return 0
    found = row.details.get("revision")
    return found if isinstance(found, int) else 0


def require_newest(present: int, recorded: int) -> None:
    """Hold the register's revision against what :func:`last_recorded` gave before the register was read.

    Raises:
        RegisterDamagedError: the trail knows a newer one: the register's tables were put back, the trail was not.
    """
    if present < recorded:
        raise RegisterDamagedError(f"the register was put back: it has revision {present}, the audit trail records {recorded}")
