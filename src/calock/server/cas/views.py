"""HTTP of CAS 3.0: ``/cas/login``, ``/cas/logout``, ``/cas/serviceValidate``, ``/cas/p3/serviceValidate``."""

from __future__ import annotations

import uuid
from typing import cast
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.cas import answers
from calock.server.cas.entering import Wanted, ticket_or_page
from calock.server.cas.services import (
    PROTOCOL,
    ValidationError,
    application_for,
    attributes_of,
    validate,
)
from calock.server.grants.decide import Ask
from calock.server.grants.models import PendingRequest
from calock.server.grants.refused import note_refused
from calock.server.grants.services import pending_request
from calock.server.login.services import logout as end_login
from calock.server.sessions import cookies
from calock.server.sessions.context import RequestContext
from calock.server.tools import clock
from calock.server.web.csp import allow_form_to
from calock.server.web.http import SiteRequest, context_of


@require_safe
def login(request: HttpRequest) -> HttpResponse:
    """Clause 2.1: a ticket for ``service``; ``renew`` asks for a new proof, ``gateway`` asks nobody anything."""
    site_request = cast(SiteRequest, request)
    service = request.GET.get("service", "")
    if not service:
        return HttpResponseRedirect(reverse("portal:login"))
    sent = {name: request.GET.get(name, "") for name in ("renew", "gateway")}
    flags = {name: ["true"] for name, value in sent.items() if value not in ("", "false")}
    return _go_on(site_request, {"service": [service], **flags}, None)


@require_safe
def proceed(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Go on with a request whose person has proved who they are."""
    site_request = cast(SiteRequest, request)
    pending = pending_request(key, PROTOCOL, site=site_request.site.code, at=clock.now())
    return _go_on(site_request, pending.parameters, pending)


def _go_on(request: SiteRequest, parameters: dict[str, list[str]], pending: PendingRequest | None) -> HttpResponse:
    context, service, renew = context_of(request), parameters["service"][0], "renew" in parameters
    application = application_for(service, site=context.site)
    before = pending.created_at if pending is not None else context.at
    ask = Ask(
        minimum=application.wish.require_level,
        proved_after=before if renew else None,
        silent="gateway" in parameters and not renew,
    )
    found = ticket_or_page(Wanted(PROTOCOL, application, service, parameters, ask, renew), pending=pending, context=context)
    return found if isinstance(found, HttpResponse) else _to(service, {"ticket": found} if found else {})


def _to(service: str, more: dict[str, str]) -> HttpResponse:
    """To the service; a ticket in the address is worth something for ten seconds and one use."""
    response = HttpResponse(status=303)
    response["Location"] = service + (("&" if "?" in service else "?") + urlencode(more) if more else "")
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_safe
def service_validate(request: HttpRequest) -> HttpResponse:
    """Clauses 2.5 and 2.8, called by services. ``pgtUrl`` is ignored: there are no proxy tickets."""
    site_request = cast(SiteRequest, request)
    service, context = request.GET.get("service", ""), context_of(site_request)
    try:
        found = validate(
            ticket=request.GET.get("ticket", "")[:300],
            service=service,
            renew=request.GET.get("renew", "") not in ("", "false"),
            site=context.site,
            at=context.at,
        )
        attributes = attributes_of(found) if request.path.startswith(reverse("cas:p3_validate")) else {}
        text = answers.success(found.grant.account.username, attributes)
    except ValidationError as error:
        text = answers.failure(error.code, str(error))
        _note(service, f"{error.code}: {error}", context)
    return HttpResponse(text, content_type="application/xml; charset=utf-8", headers={"Cache-Control": "no-store"})


def _note(service: str, detail: str, context: RequestContext) -> None:
    try:
        application = application_for(service, site=context.site)
    except Refusal:
        return
    note_refused(application, Refusal(Reason.APPLICATION_REQUEST_WRONG, detail), context=context)


@require_safe
def logout(request: HttpRequest) -> HttpResponse:
    """Clause 2.3. The person is asked first: an image in somebody's page can send browsers here too."""
    site_request = cast(SiteRequest, request)
    service = _registered(site_request, request.GET.get("service", ""))
    if site_request.login_session is None:
        return _to(service, {}) if service else HttpResponseRedirect(reverse("portal:home"))
    sent = {"service": service} if service else {}
    application = application_for(service, site=site_request.site.code) if service else None
    found = {"current": "apps", "application": application, "sent": sent, "action": reverse("cas:logout_confirmed")}
    return allow_form_to(render(request, "pages/logout.html", found), service)


@require_POST
def logout_confirmed(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    service = _registered(site_request, request.POST.get("service", ""))
    if site_request.login_session is not None:
        end_login(session=site_request.login_session, context=context_of(site_request))
    response = _to(service or reverse("portal:home"), {})
    cookies.clear_session(response)
    return response


def _registered(request: SiteRequest, service: str) -> str:
    """The address when it is a registered service's; empty when none is given.

    Raises:
        Refusal: APPLICATION_UNKNOWN: nobody is sent to an address that nobody registered.
    """
    if service:
        application_for(service, site=request.site.code)
    return service
