"""The drivers that gave an account's answers. Each computer's driver has a key of its own: one not seen before is a new computer.

It is told, never refused: people have several computers, and drivers are installed anew. docs/protocol.md, "The driver's key".
"""

from __future__ import annotations

import uuid

from calock.server.audit.models import AuditEvent
from calock.server.locks.models import KnownDriver
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.sessions.context import RequestContext

MOST = 50
"""Drivers that are kept of one account on one site, those that came last."""


def is_known_driver(account_id: uuid.UUID, key: str) -> bool:
    return bool(KnownDriver.objects.filter(account=account_id, key_sha256=key).exists())


def note_new_driver(account_id: uuid.UUID, key: str, *, row: AuditEvent, context: RequestContext) -> bool:
    """Remember a driver that gave its first accepted answer for the account; when others did before, tell its person.

    Returns whether they were told.

    ``row``: the audit row of the act, whose number the person reads to the hotline. Inside the transaction of the act.
    """
    known = KnownDriver.objects.filter(account=account_id, site=context.site).order_by("-first_seen_at", "-pk")
    others = known.exclude(key_sha256=key).exists()
    row_of_it = KnownDriver(account_id=account_id, key_sha256=key, site=context.site, first_seen_at=context.at)
    KnownDriver.objects.bulk_create([row_of_it], ignore_conflicts=True)  # two logins of one computer at the same moment
    if not others:
        return False
    kind = NoticeKind.DRIVER_CHANGED if context.known_browser.knows(account_id) else NoticeKind.NEW_COMPUTER
    tell(kind, account=account_id, row=row)
    known.exclude(pk__in=list(known.values_list("pk", flat=True)[:MOST])).delete()
    return True
