"""Who is asking: our own cookie to ``request.user`` and ``request.login_session``. Anything malformed is no session."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from calock.core.refusals import Reason, Refusal
from calock.server.locks.liveness import session_of_cookie, why_over
from calock.server.sessions import cookies
from calock.server.sessions.models import Session, SessionMethod
from calock.server.sessions.services import end_session, idle_limit, touch
from calock.server.tools import clock
from calock.server.tools.digests import digest
from calock.server.web import refusals
from calock.server.web.http import SiteRequest

OPEN_WHILE_PASSWORD_EXPIRED = ("/password/", "/logout/", "/static/", "/help/", "/api/site", "/healthz")


class SessionMiddleware:
    """Sets ``request.user``, ``request.login_session``, ``request.session_was_ended`` and ``request.session_end``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        site_request = cast(SiteRequest, request)
        session, why = self._find(site_request)
        ended = bool(why)
        site_request.login_session = session
        site_request.session_was_ended, site_request.session_end = ended, why
        site_request.user = session.account if session else AnonymousUser()
        if session is not None and self._must_change_password(session, request.path_info):
            refusal = Refusal(Reason.PASSWORD_CHANGE_REQUIRED, "the password was set by somebody else")
            return refusals.answer(site_request, refusal)
        response = self.get_response(request)
        if ended and cookies.session_cookie() not in response.cookies:
            cookies.clear_session(response)
        return response

    @staticmethod
    def _must_change_password(session: Session, path: str) -> bool:
        if session.method != SessionMethod.PASSWORD or not session.account.must_change_password:
            return False
        return not path.startswith(OPEN_WHILE_PASSWORD_EXPIRED)

    @staticmethod
    def _find(request: SiteRequest) -> tuple[Session | None, str]:
        """The live session, or why the one whose cookie was sent is over; neither when no session has that cookie."""
        value = cookies.session_value(request)
        if not value:
            return None, ""
        session = session_of_cookie.first(request.site.code, digest(value))
        if session is None or not session.is_intact():
            return None, ""
        now = clock.now()
        limit = idle_limit(request.site.idle_minutes, operator=session.account.is_operator)
        over = why_over(session, now, limit)
        if over:
            if session.ended_at is None:
                end_session(session=session, reason=over, at=now)
            return None, over
        touch(session, at=now)
        return session, ""
