"""Requests of applications that were refused: written down for auditors, and shown to those who connect the application."""

from __future__ import annotations

from django.db.models import QuerySet

from calock.core.refusals import Refusal
from calock.server.applications.models import Application
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record_refusal
from calock.server.sessions.context import RequestContext
from calock.server.tools import throttle

SHOWN = 10


def note_refused(application: Application, refusal: Refusal, *, context: RequestContext) -> None:
    """Write the row, as long as the address does not flood us."""
    if not refusal.number and throttle.is_worth_a_row("application", context.ip):
        actor = context.session.account if context.session else None
        record_refusal(
            Event.APPLICATION_REFUSED,
            refusal,
            context=context,
            actor=actor,
            subject=application.pk,
            details={"client": application.client_id},
        )


def last_refused(application: Application) -> QuerySet[AuditEvent]:
    """The last ten."""
    rows: QuerySet[AuditEvent] = AuditEvent.objects.filter(subject=application.pk, event=Event.APPLICATION_REFUSED)
    return rows.order_by("-id")[:SHOWN]
