"""Who asks, from where, when: what services need to know of a request without knowing HTTP."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from calock.server.audit.canonical import clean
from calock.server.http import SiteRequest
from calock.server.sessions.cookies import pre_login_value
from calock.server.sessions.models import Session


@dataclass(frozen=True, slots=True)
class RequestContext:
    """``browser`` is the SHA-256 of the pre-login cookie, empty when the browser has none."""

    site: str
    origin: str
    ip: str | None
    user_agent: str
    browser: str
    session: Session | None
    at: datetime

    @classmethod
    def of(cls, request: SiteRequest) -> RequestContext:
        value = pre_login_value(request)
        return cls(
            site=request.site.code,
            origin=request.site_origin,
            ip=request.client_ip,
            user_agent=clean(request.headers.get("User-Agent", "")),
            browser=hashlib.sha256(value.encode()).hexdigest() if value else "",
            session=request.login_session,
            at=timezone.now(),
        )
