"""What our middleware adds to a request, as types, and what services take of it."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.canonical import clean
from calock.server.sessions.context import RequestContext
from calock.server.sessions.cookies import known_browser, pre_login_value
from calock.server.sessions.models import Session
from calock.server.sites.profile import Profile
from calock.server.tools import clock
from calock.server.tools.digests import digest


class SiteRequest(HttpRequest):
    """A request after every middleware. ``user`` and ``login_session`` are both set, or neither is."""

    site: Profile  # type: ignore[assignment]  # typed for django.contrib.sites, which we do not use
    site_origin: str
    """Configured scheme and host (and port) of the site: what a lock's answer must have been signed for."""
    client_ip: str | None
    user: Account | AnonymousUser
    login_session: Session | None
    session_was_ended: bool
    """The browser sent the cookie of a session that is over."""
    session_end: str
    """Why it is over, as its row says; empty without one."""


def require_account(request: SiteRequest) -> tuple[Account, Session]:
    """The account that is logged in, and its session.

    Raises:
        Refusal: SESSION_ENDED when there was one, else SESSION_REQUIRED.
    """
    if request.login_session is None:
        reason = Reason.SESSION_ENDED if request.session_was_ended else Reason.SESSION_REQUIRED
        raise Refusal(reason, "no live session")
    return request.login_session.account, request.login_session


def context_of(request: SiteRequest) -> RequestContext:
    """Who asks, from where, and that it is now."""
    value = pre_login_value(request)
    return RequestContext(
        site=request.site.code,
        origin=request.site_origin,
        ip=request.client_ip,
        user_agent=clean(request.META.get("HTTP_USER_AGENT", "")),
        browser=digest(value) if value else "",
        session=request.login_session,
        at=clock.now(),
        own_at=timezone.now(),
        known_browser=known_browser(request),
    )
