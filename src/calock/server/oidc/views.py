"""HTTP of the OpenID provider. The endpoints that applications call themselves take no cookies and have no CORS."""

from __future__ import annotations

import base64
import json
import uuid
from typing import cast

from authlib.oauth2.rfc6749.util import extract_basic_authorization
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.applications.models import Application
from calock.server.grants.refused import note_refused
from calock.server.grants.services import pending_request
from calock.server.login.services import logout as end_login
from calock.server.oidc import logout as logouts
from calock.server.oidc import tokens
from calock.server.oidc.authorize import PROTOCOL, authorize, keep
from calock.server.oidc.claims import user_info
from calock.server.oidc.keys import public_keys
from calock.server.oidc.metadata import configuration
from calock.server.oidc.requests import Parameters
from calock.server.oidc.server import TokenServer
from calock.server.sessions import cookies
from calock.server.tools import clock, throttle
from calock.server.tools.throttle import Sender, address_key
from calock.server.web.csp import allow_form_to
from calock.server.web.http import SiteRequest, context_of

FOR_AN_HOUR = "public, max-age=3600"


def _parameters(request: HttpRequest) -> Parameters:
    sent = request.POST if request.method == "POST" else request.GET
    return {name: sent.getlist(name) for name in sent}


@require_safe
def discovery(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(configuration(cast(SiteRequest, request).site_origin))
    response["Cache-Control"] = FOR_AN_HOUR
    response["Access-Control-Allow-Origin"] = "*"  # public, and scripts of applications read it
    return response


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"keys": public_keys(cast(SiteRequest, request).site.code)})
    response["Cache-Control"] = FOR_AN_HOUR
    response["Access-Control-Allow-Origin"] = "*"
    return response


@csrf_exempt  # applications may send people here by POST; nothing is done that a link would not do
@require_http_methods(["GET", "HEAD", "POST"])
def authorization(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    if request.method != "POST":
        return authorize(site_request, _parameters(request))
    # a POST from elsewhere comes without our cookies (SameSite=Lax): the same request goes on as a link
    pending = keep(site_request, _parameters(request))
    response = HttpResponse(status=303)
    response["Location"] = reverse("oidc:continue", args=[pending.pk])
    return response


@require_safe
def proceed(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Go on with a request whose person has proved who they are."""
    site_request = cast(SiteRequest, request)
    pending = pending_request(key, PROTOCOL, site=site_request.site.code, at=clock.now())
    return authorize(site_request, pending.parameters, pending)


def _named(request: HttpRequest) -> str:
    """Which application calls, as it says itself: nothing of it is verified yet. By Basic, in the form, or in its assertion."""
    try:
        name, _ = extract_basic_authorization(request.headers)
        if name or "client_id" in request.POST:
            return str(name or request.POST["client_id"])
        claims = request.POST.get("client_assertion", "").split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""


def _called(request: HttpRequest, endpoint: str) -> HttpResponse:
    """A call of an application's server. Wrong credentials are counted by application and address."""
    site_request = cast(SiteRequest, request)
    context = context_of(site_request)
    server = TokenServer(site_request, context.at)
    address = address_key(context.ip)
    sender = Sender(f"{_named(request)[:50]} at {address}", ceiling=address)
    try:
        throttle.refuse_when_too_many("client", sender)
    except Refusal as refusal:
        refused = JsonResponse({"error": "temporarily_unavailable"}, status=429)  # a program reads this, not a person
        refused["Retry-After"] = str(refusal.facts["seconds"])
        return refused
    response = server.answer(request, endpoint)
    if server.refused is not None:
        if response.status_code == 401:
            throttle.count_failure("client", sender)
        application = Application.objects.filter(client_id=server.client_id, site=site_request.site.code).first()
        if application is not None:
            detail = f"{endpoint}: {server.refused.error} {server.refused.description or ''}"
            note_refused(application, Refusal(Reason.APPLICATION_REQUEST_WRONG, detail[:200]), context=context)
    return response


@csrf_exempt
@require_POST
def token(request: HttpRequest) -> HttpResponse:
    return _called(request, "token")


@csrf_exempt
@require_POST
def introspect(request: HttpRequest) -> HttpResponse:
    return _called(request, "introspection")


@csrf_exempt
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    return _called(request, "revocation")


def _bearer(request: HttpRequest) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    return request.POST.get("access_token", "")


@csrf_exempt
@require_http_methods(["GET", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    text = _bearer(request)
    found = tokens.find_token_with_lock(text, at=clock.now()) if text else None
    if found is None or found.kind != found.Kind.ACCESS or found.grant.issuer != cast(SiteRequest, request).site_origin:
        error = 'Bearer error="invalid_token"' if text else "Bearer"
        return HttpResponse(status=401, headers={"WWW-Authenticate": error, "Cache-Control": "no-store"})
    return JsonResponse(user_info(found), headers={"Cache-Control": "no-store"})


@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def logout(request: HttpRequest) -> HttpResponse:
    """Without a hint from this very session the person is asked; a cross-site POST brings no cookie, so it becomes a link."""
    site_request = cast(SiteRequest, request)
    parameters = _parameters(request)
    asked = logouts.read(parameters, site=site_request.site.code, issuer=site_request.site_origin)
    if request.method == "POST":
        query = request.POST.urlencode()
        response = HttpResponse(status=303)
        response["Location"] = f"{reverse('oidc:logout')}?{query}"
        return response
    session = site_request.login_session
    if session is None:
        return _left(asked.back)
    if logouts.is_of_session(asked, session):
        end_login(session=session, context=context_of(site_request))
        return _left(asked.back)
    response = render(
        request,
        "pages/logout.html",
        {
            "current": "apps",
            "application": asked.application,
            "sent": {name: values[0] for name, values in parameters.items()},
            "action": reverse("oidc:logout_confirmed"),
        },
    )
    return allow_form_to(response, asked.back)


@require_POST
def logout_confirmed(request: HttpRequest) -> HttpResponse:
    site_request = cast(SiteRequest, request)
    parameters = {name: values for name, values in _parameters(request).items() if name != "csrfmiddlewaretoken"}
    asked = logouts.read(parameters, site=site_request.site.code, issuer=site_request.site_origin)
    if site_request.login_session is not None:
        end_login(session=site_request.login_session, context=context_of(site_request))
    return _left(asked.back)


def _left(back: str) -> HttpResponse:
    """Where a person goes who is logged out."""
    response = HttpResponse(status=303)
    response["Location"] = back or reverse("portal:home")
    cookies.clear_session(response)
    return response
