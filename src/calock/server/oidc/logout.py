"""RP-Initiated Logout 1.0: an application asks to end the person's session, and where they go then."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from calock.core.refusals import Reason, Refusal
from calock.server.applications.catalogue import application_of
from calock.server.applications.models import Application
from calock.server.grants.models import Grant
from calock.server.oidc.hints import hinted_claims
from calock.server.oidc.requests import MAX_STATE, Parameters
from calock.server.sessions.models import Session


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """What was asked, checked. ``sid``: of the hint, empty without one."""

    application: Application | None
    sid: str
    back: str
    """Where the person goes afterwards: a registered address with its ``state``; empty for our own page."""


def read(parameters: Parameters, *, site: str, issuer: str) -> LogoutRequest:
    """Judge a logout request.

    Raises:
        Refusal: REDIRECT_NOT_REGISTERED for an address that is not registered exactly so, APPLICATION_UNKNOWN,
            APPLICATION_REQUEST_WRONG for a hint that is not ours or a parameter that is there twice. The browser is sent nowhere
            then, and nothing ends.
    """
    one = {name: values[0] for name, values in parameters.items()}
    if any(len(values) != 1 for values in parameters.values()) or len(one.get("state", "")) > MAX_STATE:
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "a parameter more than once, or too long")
    claims = None
    if one.get("id_token_hint"):
        claims = hinted_claims(one["id_token_hint"], site=site, issuer=issuer)
        if claims is None:
            raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "id_token_hint is not one of this issuer's ID tokens")
    named, hinted = one.get("client_id", ""), str(claims["aud"]) if claims else ""
    if named and hinted and named != hinted:
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "id_token_hint is another application's")
    application = application_of(named or hinted, site=site) if named or hinted else None
    sid = str(claims["sid"]) if claims else ""
    return LogoutRequest(application, sid, _back(one, application))


def _back(one: dict[str, str], application: Application | None) -> str:
    wanted = one.get("post_logout_redirect_uri", "")
    if not wanted:
        return ""
    if application is None or wanted not in application.wish.post_logout_redirect_uris:
        raise Refusal(Reason.REDIRECT_NOT_REGISTERED, f"post_logout_redirect_uri {wanted[:120]!r}")
    if not one.get("state"):
        return wanted
    return wanted + ("&" if "?" in wanted else "?") + urlencode({"state": one["state"]})


def is_of_session(asked: LogoutRequest, session: Session) -> bool:
    """Whether the hint is from this very session: then the person is not asked (RP-Initiated Logout clause 2)."""
    if not asked.sid or asked.application is None:
        return False
    return Grant(session=session, application=asked.application).sid == asked.sid
