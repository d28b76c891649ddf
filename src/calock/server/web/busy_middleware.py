"""Answers for requests that the server had no room for, or did not take: in the site's look, without touching the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from calock.core.refusals import Refusal
from calock.server.web import refusals
from calock.server.web.http import SiteRequest


class BusyMiddleware:
    """The server's gateway marks a request that it refuses: ``calock.refused`` in the environment is a ``Reason``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reason = request.META.get("calock.refused")
        if reason is None:
            return self.get_response(request)
        refusal = Refusal(reason, "refused before any work", {"seconds": request.META["calock.retry_after"]})
        return refusals.answer(cast(SiteRequest, request), refusal, audited=False)
