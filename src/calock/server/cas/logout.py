"""CAS single logout: the message that tells a service that a session ended."""

from __future__ import annotations

from urllib.parse import urlencode

from calock.server.cas.answers import logout_request
from calock.server.cas.models import ServiceTicket
from calock.server.cas.services import PROTOCOL
from calock.server.egress.services import ask
from calock.server.grants.ending import EGRESS, LOGOUT, SCHEDULE
from calock.server.outbox.kinds import Kind, register_kind
from calock.server.outbox.models import Message


def send(message: Message) -> None:
    """Tell one service; repetitions carry the same ID."""
    rows = ServiceTicket.objects.select_related("grant__application", "grant__account")
    row = rows.filter(grant=message.body["grant"], used_at__isnull=False).first()
    if row is None or not row.grant.application.wish.logout_url:
        return  # never used, so that nobody is logged in by it, or forgotten with its session
    text = logout_request(row.ticket, number=str(message.pk), user=row.grant.account.username, at=message.created_at)
    ask(
        EGRESS,
        row.grant.application.wish.logout_url,
        body=urlencode({"logoutRequest": text}).encode(),
        content_type="application/x-www-form-urlencoded",
        statuses=range(200, 400),
    )


def register() -> None:
    """At start-up."""
    register_kind(Kind(PROTOCOL + LOGOUT, "应用退出通知（CAS）", send, SCHEDULE))
