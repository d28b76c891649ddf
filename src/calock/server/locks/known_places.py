"""Logins from a browser and a network that the account has not used: told, never refused. docs/operations.md says what counts."""

from __future__ import annotations

import ipaddress

from calock.server.audit.models import AuditEvent
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session

LOOKED_AT = 50
"""Logins of the account, the last ones, whose networks are known."""


def network_of(ip: str | None) -> str:
    """What one household or office has: the /24 of an IPv4 address, the /48 of an IPv6 one."""
    if ip is None:
        return ""
    address = ipaddress.ip_address(ip)
    mapped = address.ipv4_mapped if address.version == 6 else None
    address = mapped or address
    return str(ipaddress.ip_network((str(address), 24 if address.version == 4 else 48), strict=False))


def note_new_place(session: Session, *, row: AuditEvent, context: RequestContext) -> None:
    """Tell the person of a login whose browser and network are both new to the account; its very first login is not told.

    ``row``: the login's audit row. Inside the transaction of the login; a browser that is known costs no statement.
    """
    if context.known_browser.knows(session.account_id):
        return
    before = Session.objects.filter(account=session.account_id).exclude(pk=session.pk).order_by("-created_at")
    networks = {network_of(ip) for ip in before.values_list("ip", flat=True)[:LOOKED_AT]}
    if networks and network_of(context.ip) not in networks:
        tell(NoticeKind.NEW_PLACE, account=session.account_id, row=row, address=context.ip or "-")
