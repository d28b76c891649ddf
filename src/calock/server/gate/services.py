"""Who may pass a reverse proxy that asks us (nginx ``auth_request``), for applications that know no login protocol at all."""

from __future__ import annotations

import secrets
from datetime import datetime
from urllib.parse import quote

from calock.core.refusals import Refusal
from calock.server.cas.services import application_for, validate
from calock.server.gate.models import Pass
from calock.server.grants.levels import level_of
from calock.server.grants.models import Grant
from calock.server.grants.services import live_grant
from calock.server.tools.digests import digest

PROTOCOL = "gate"


def give_pass(*, ticket: str, service: str, site: str, at: datetime) -> str:
    """The value of a new cookie, for a ticket that was issued for ``service``.

    Raises:
        ValidationError: the ticket is unknown, used, over, a CAS service's, or another address's.
    """
    # no transaction: a refusal of it stays written
    found = validate(ticket=ticket, service=service, renew=False, site=site, at=at, protocol=PROTOCOL)
    value = secrets.token_urlsafe(32)
    Pass.issue(value, grant=found.grant)
    return value


def grant_behind(value: str, *, address: str, site: str, at: datetime) -> Grant | None:
    """The live grant of a cookie, when it is the application's to which ``address`` belongs."""
    row = Pass.objects.filter(pk=digest(value)).first() if value else None
    grant = live_grant(row.grant_id, at=at) if row is not None and row.is_intact() else None
    if grant is None:
        return None
    try:
        application = application_for(address, site=site, protocol=PROTOCOL)
    except Refusal:
        return None
    return grant if application.pk == grant.application_id else None


def headers_of(grant: Grant) -> dict[str, str]:
    """What the proxy hands to the application; names in percent-encoded UTF-8, since headers are ASCII."""
    account = grant.account
    organisation = account.organisation
    return {
        "Remote-User": account.username,
        "Remote-Name": quote(account.name),
        "Remote-Role": str(account.role),
        "Remote-Level": level_of(grant.acr),
        "Remote-Organisation": organisation.uscc if organisation is not None else "",
    }
