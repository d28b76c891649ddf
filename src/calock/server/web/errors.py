"""Django's own error hooks in our words: never a stack trace, always a number to quote; 503 when the database is away."""

from __future__ import annotations

import logging
import sys
from typing import cast

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.audit.canonical import new_number
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.tools import throttle
from calock.server.tools.outages import is_outage
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of

COME_AGAIN = 5
"""Seconds after which a request that the database did not answer may be sent again."""

log = logging.getLogger("calock.server")


def _refuse(request: HttpRequest, reason: Reason, detail: str) -> HttpResponse:
    return refusals.answer(cast(SiteRequest, request), Refusal(reason, detail), site_known=hasattr(request, "site"))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refuse(request, Reason.REQUEST_MALFORMED, type(exception).__name__)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refuse(request, Reason.NOT_ALLOWED, type(exception).__name__)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _refuse(request, Reason.NOT_FOUND, type(exception).__name__)


def _number(request: HttpRequest, error: BaseException | None) -> str:
    """Record the failure; when that fails too, the log alone keeps the number."""
    if hasattr(request, "site") and throttle.is_worth_a_row("failure", cast(SiteRequest, request).client_ip):
        try:
            context = context_of(cast(SiteRequest, request))
            return record(
                Event.SERVER_FAILED, context=context, details={"kind": type(error).__name__, "path": request.path_info[:120]}
            ).number
        except (DatabaseError, AttributeError):
            pass
    return new_number(timezone.now())


def _unavailable(request: HttpRequest, error: BaseException | None) -> HttpResponse:
    """The database is away: one line in the log, the site's own page, and the word that it may be tried again soon."""
    number = new_number(timezone.now())
    log.error("database unavailable %s on %s: %s", number, request.path_info, " ".join(str(error).split())[:200])
    refusal = Refusal(Reason.DATABASE_UNAVAILABLE, "", {"seconds": COME_AGAIN})
    refusal.number = number
    return refusals.answer(cast(SiteRequest, request), refusal, site_known=hasattr(request, "site"), audited=False)


def server_error(request: HttpRequest) -> HttpResponse:
    """An error of ours, or the database's."""
    error = sys.exc_info()[1]
    if is_outage(error):
        return _unavailable(request, error)
    number = _number(request, error)
    log.error("failure %s on %s", number, request.path_info, exc_info=error)
    message = "系统出现错误，请稍后重试；联系客服时请提供编号"
    told = {
        "reason": "SERVER_FAILED",
        "message": message,
        "action": {"label": "返回首页", "href": "/"},
        "number": number,
        "facts": {},
    }
    if request.path_info.startswith("/api/"):
        return JsonResponse({"error": told}, status=500, json_dumps_params={"ensure_ascii": False})
    return render(request, "refusals/no_site.html", {"refusal": told, "status": 500}, status=500)
