"""Which applications there are for whom: what the login of each, and 应用中心, ask."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.applications.models import Application, ApplicationState
from calock.server.applications.wishes import Wish
from calock.server.tools.prepared import prepared


@prepared
def _of_client(client_id: Any, site: Any) -> QuerySet[Application]:
    return Application.objects.filter(client_id=client_id, site=site).order_by()


def kind_of(account: Account) -> str:
    """As what an account stands before applications: its organisation's kind, ``expert`` without one, ``operator``."""
    if account.role == Role.OPERATOR:
        return "operator"
    return str(account.organisation.kind) if account.organisation is not None else "expert"


def application_of(client_id: str, *, site: str) -> Application:
    """The application that calls itself so, on this site, when people may enter it.

    Raises:
        Refusal: APPLICATION_UNKNOWN; REGISTER_DAMAGED.
    """
    row = _of_client.first(client_id[:51].replace("\0", ""), site)
    if row is None:
        raise Refusal(Reason.APPLICATION_UNKNOWN, "no application of this site has that identifier")
    _ = row.wish
    if row.state != ApplicationState.ENABLED:
        raise Refusal(Reason.APPLICATION_UNKNOWN, "the application is suspended", about={"application": row.client_id})
    return row


def require_meant_for(account: Account, wish: Wish) -> None:
    """Raise APPLICATION_NOT_FOR_YOU unless the application is there for such accounts."""
    if kind_of(account) not in wish.audience:
        raise Refusal(Reason.APPLICATION_NOT_FOR_YOU, f"not for {kind_of(account)}")


def tiles_for(account: Account, *, site: str, issuer: str) -> list[tuple[Wish, str]]:
    """The applications of a site that this account may open, with where each tile leads. What is damaged is left out."""
    rows = Application.objects.filter(site=site, state=ApplicationState.ENABLED)
    wishes = [row.wish for row in rows if row.is_intact()]
    mine = [wish for wish in wishes if wish.entry_url and kind_of(account) in wish.audience]
    return [(wish, _entry(wish, issuer)) for wish in sorted(mine, key=lambda wish: (wish.order, wish.name))]


def _entry(wish: Wish, issuer: str) -> str:
    """For OpenID Connect the login begins at the application (Core clause 4), so that it has its own ``state``."""
    if "oidc" not in wish.protocols:
        return wish.entry_url
    return wish.entry_url + ("&" if "?" in wish.entry_url else "?") + urlencode({"iss": issuer})
