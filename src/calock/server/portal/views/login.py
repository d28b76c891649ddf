"""The login page and the way out. The CA tab talks to ``/api/`` by script; account and password are a plain form."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from calock.core.refusals import Refusal
from calock.server import refusals
from calock.server.context import RequestContext
from calock.server.http import SiteRequest
from calock.server.login import services
from calock.server.portal.driver_page import driver_context
from calock.server.portal.failures import CATALOGUE
from calock.server.portal.render import page
from calock.server.refusal_texts import ENTRIES
from calock.server.sessions import cookies


def next_page(request: SiteRequest, wanted: str) -> str:
    """Where to go after the login: a path of this very site, else its landing page."""
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return wanted
    return reverse(f"portal:{request.site.landing}")


@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    wanted = (request.POST if request.method == "POST" else request.GET).get("next", "")[:500]
    if request.method == "POST":
        return _log_in(site_request, wanted)
    if site_request.login_session is not None:
        return HttpResponseRedirect(next_page(site_request, wanted))
    return _show(site_request, wanted)


def _log_in(request: SiteRequest, wanted: str) -> HttpResponse:
    username = request.POST.get("username", "")
    try:
        entered = services.login_with_password(
            username=username, password=request.POST.get("password", ""), context=RequestContext.of(request)
        )
    except Refusal as refusal:
        told = refusals.describe(refusal.reason, refusal.facts, number=refusal.number)
        return _show(request, wanted, status=ENTRIES[refusal.reason].status, refusal=told, username=username[:64])
    response = HttpResponseRedirect(next_page(request, wanted))
    cookies.set_session(response, entered.cookie)
    return response


def _show(request: SiteRequest, wanted: str, *, status: int = 200, **context: Any) -> HttpResponse:
    return page(request, "login", "login", status=status, next=wanted, failures=CATALOGUE, **context, **driver_context(request))


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    if site_request.login_session is not None:
        services.logout(session=site_request.login_session, context=RequestContext.of(site_request))
    response = HttpResponseRedirect(reverse("portal:home"))
    cookies.clear_session(response)
    return response
