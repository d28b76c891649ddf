"""Logins from a browser and a network that the account has not used: told, never refused. docs/operations.md says what counts."""

from __future__ import annotations

import ipaddress
import uuid

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


def is_new_place(account_id: uuid.UUID, context: RequestContext) -> bool:
    """Whether browser and network are both new to the account; at its very first login they are not.

    Asked before the login's session is written. A browser that is known costs no statement.
    """
    if context.known_browser.knows(account_id):
        return False
    before = Session.objects.filter(account=account_id).order_by("-created_at")
    networks = {network_of(ip) for ip in before.values_list("ip", flat=True)[:LOOKED_AT]}
    return bool(networks) and network_of(context.ip) not in networks


def tell_of_place(account_id: uuid.UUID, *, row: AuditEvent, context: RequestContext) -> None:
    """Tell the person of such a login, whose audit row is ``row``, inside its transaction."""
    tell(NoticeKind.NEW_PLACE, account=account_id, row=row, address=context.ip or "-")
