"""HTTP of the gate.

On the platform's host: ``/auth/enter``. Through the proxy, on the application's host, as ``/_calock/…``: ``check`` (the subrequest
of ``auth_request``), ``start`` (before the login) and ``done`` (after it).
"""

from __future__ import annotations

import hmac
import re
import secrets
import uuid
from typing import cast
from urllib.parse import unquote, urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.cas.entering import Wanted, ticket_or_page
from calock.server.cas.services import MAX_SERVICE, ValidationError, application_for
from calock.server.gate.services import PROTOCOL, give_pass, grant_behind, headers_of
from calock.server.grants.decide import Ask
from calock.server.grants.models import PendingRequest
from calock.server.grants.services import pending_request
from calock.server.tools import clock
from calock.server.web.http import SiteRequest, context_of

ORIGINAL = "X-Original-URL"
"""The header in which the proxy says what the browser asked for."""
_STATE = re.compile(r"[A-Za-z0-9_-]{32}")


def _cookie(name: str) -> str:
    return name if settings.CALOCK.insecure_http else f"__Host-{name}"


def _set(response: HttpResponse, name: str, value: str) -> None:
    secure = not settings.CALOCK.insecure_http
    response.set_cookie(_cookie(name), value, path="/", secure=secure, httponly=True, samesite="Lax")


def _original(request: HttpRequest) -> str:
    """The address on the application's host that the browser asked for."""
    return request.headers.get(ORIGINAL, "")[:2000]


@require_safe
def check(request: HttpRequest) -> HttpResponse:
    """200 with who it is, or 401. nginx asks this for each request; the answer has no body."""
    value, site = request.COOKIES.get(_cookie("calock-gate"), ""), cast(SiteRequest, request).site.code
    grant = grant_behind(value, address=_bare(_original(request)), site=site, at=clock.now())
    if grant is None:
        return HttpResponse(status=401, headers={"Cache-Control": "no-store"})
    return HttpResponse(status=200, headers={**headers_of(grant), "Cache-Control": "no-store"})


def _bare(address: str) -> str:
    """Without the query: what is behind the question mark decides nothing, and may hold anything."""
    return address.partition("?")[0]


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    """On the application's host: remember in this browser that it asked, then go to the platform.

    The proxy writes the browser's address behind ``url=`` as it is, escapes and all: it is taken as it stands. One that is escaped
    as a whole has no ``://``.
    """
    site_request = cast(SiteRequest, request)
    wanted = request.META.get("QUERY_STRING", "").partition("url=")[2]
    wanted = wanted if "://" in wanted else unquote(wanted)
    if len(wanted) > MAX_SERVICE:
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "url")
    _ = application_for(_bare(wanted), site=site_request.site.code, protocol=PROTOCOL)
    state = secrets.token_urlsafe(24)
    query = urlencode({"url": wanted, "state": state})
    response = HttpResponseRedirect(f"{site_request.site_origin}{reverse('gate:enter')}?{query}")
    _set(response, "calock-gate-state", state)
    return response


@require_safe
def enter(request: HttpRequest) -> HttpResponse:
    """On the platform: let the person prove who they are, then send them back with a ticket."""
    wanted, state = request.GET.get("url", ""), request.GET.get("state", "")
    if not _STATE.fullmatch(state):
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "state")
    return _go_on(cast(SiteRequest, request), {"service": [wanted], "state": [state]}, None)


@require_safe
def proceed(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Go on with a request whose person has proved who they are."""
    site_request = cast(SiteRequest, request)
    pending = pending_request(key, PROTOCOL, site=site_request.site.code, at=clock.now())
    return _go_on(site_request, pending.parameters, pending)


def _go_on(request: SiteRequest, parameters: dict[str, list[str]], pending: PendingRequest | None) -> HttpResponse:
    context, wanted = context_of(request), parameters["service"][0]
    if len(wanted) > MAX_SERVICE or not wanted.isprintable():
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "url")
    application = application_for(_bare(wanted), site=context.site, protocol=PROTOCOL)
    asked = Wanted(PROTOCOL, application, wanted, parameters, Ask(minimum=application.wish.require_level))
    found = ticket_or_page(asked, pending=pending, context=context)
    if isinstance(found, HttpResponse):
        return found
    return _back(wanted, {"ticket": found, "state": parameters["state"][0], "url": wanted})


def _back(wanted: str, answer: dict[str, str]) -> HttpResponse:
    parts = urlsplit(wanted)
    response = HttpResponse(status=303)
    response["Location"] = f"{parts.scheme}://{parts.netloc}/_calock/done?{urlencode(answer)}"
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_safe
def done(request: HttpRequest) -> HttpResponse:
    """On the application's host: the browser that asked gets its cookie, and goes where it wanted to."""
    site_request = cast(SiteRequest, request)
    wanted, state = request.GET.get("url", ""), request.GET.get("state", "")
    if not state or not hmac.compare_digest(state.encode(), request.COOKIES.get(_cookie("calock-gate-state"), "").encode()):
        raise Refusal(Reason.APPLICATION_REQUEST_OVER, "another browser asked, or none")
    try:
        value = give_pass(ticket=request.GET.get("ticket", "")[:300], service=wanted, site=site_request.site.code, at=clock.now())
    except ValidationError as error:
        raise Refusal(Reason.APPLICATION_REQUEST_OVER, str(error)) from error
    response = HttpResponseRedirect(wanted)
    _set(response, "calock-gate", value)
    response.delete_cookie(_cookie("calock-gate-state"), path="/")
    response["Cache-Control"] = "no-store"
    return response
