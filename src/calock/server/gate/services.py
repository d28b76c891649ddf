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
from calock.server.grants.services import is_live
from calock.server.grants.store import Shown

PROTOCOL = "gate"
_PASSES = Shown(Pass)


def give_pass(*, ticket: str, service: str, site: str, at: datetime) -> str:
    """The value of a new cookie, for a ticket that was issued for ``service``.

    Raises:
        ValidationError: the ticket is unknown, used, over, a CAS service's, or another address's.
    """
    # no transaction: a refusal of it stays written
    found = validate(ticket=ticket, service=service, renew=False, site=site, at=at, protocol=PROTOCOL)
    value = secrets.token_urlsafe(32)
    Pass.new(value, grant=found.grant).save(force_insert=True)
    return value


def grant_behind(value: str, *, address: str, site: str, at: datetime) -> Grant | None:
    """The live grant of a cookie, when it is the application's to which ``address`` belongs."""
    row = _PASSES.find(value) if value else None
    if row is None or not is_live(row.grant, at=at):
        return None
    try:
        application = application_for(address, site=site, protocol=PROTOCOL)
    except Refusal:
        return None
    return row.grant if application.pk == row.grant.application_id else None


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
