"""Answers for requests that the server had no room for, or did not take: in the site's look, without touching the database."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from calock.core.refusals import Refusal
from calock.server.web import refusals
from calock.server.web.http import SiteRequest


class BusyMiddleware(MiddlewareMixin):
    """The server's gateway marks a request that it refuses: ``calock.refused`` in the environment is a ``Reason``."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        reason = request.META.get("calock.refused")
        if reason is None:
            return None
        refusal = Refusal(reason, "refused before any work", {"seconds": request.META["calock.retry_after"]})
        return refusals.answer(cast(SiteRequest, request), refusal, audited=False)
