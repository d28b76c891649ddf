"""The authorization endpoint: from an application's request to a code, a login, a step-up, or an error; the HTTP of it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from calock.core.refusals import Reason, Refusal
from calock.server.applications.catalogue import application_of, require_meant_for
from calock.server.applications.models import Application
from calock.server.grants.decide import Enter, LogIn, LoginRequired, StepUp, decide
from calock.server.grants.levels import proofs_of
from calock.server.grants.models import PendingRequest
from calock.server.grants.refused import note_refused
from calock.server.grants.services import new_grant, open_grant, wait_for_person
from calock.server.locks.password_rules import has_lock
from calock.server.oidc import requests, tokens
from calock.server.oidc.claims import subject_of
from calock.server.oidc.hints import hinted_subject
from calock.server.oidc.requests import AuthorizationRequest, Parameters, RequestError
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of
from calock.wire.statuses import status_of

PROTOCOL = "oidc"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request with its application, when its redirect address is known to be registered."""

    request: SiteRequest
    context: RequestContext
    application: Application
    parameters: Parameters
    redirect_uri: str
    pending: PendingRequest | None


def authorize(request: SiteRequest, parameters: Parameters, pending: PendingRequest | None = None) -> HttpResponse:
    """Answer a request, or go on with one that waited (``pending``).

    Raises:
        Refusal: when the browser may not be sent back to the application: APPLICATION_UNKNOWN, REDIRECT_NOT_REGISTERED.
    """
    asked = _asked(request, parameters, pending)
    before = pending.created_at if pending is not None else asked.context.at
    wish = asked.application.wish
    try:
        read = requests.read(parameters, wish, redirect_uri=asked.redirect_uri, before=before)
        return _decide(asked, read)
    except RequestError as error:
        return _error(asked, error)


def keep(request: SiteRequest, parameters: Parameters) -> PendingRequest:
    """Keep a request to go on with it later: only one whose answer may be sent back.

    Raises:
        Refusal: as :func:`authorize`; TOO_MANY_ATTEMPTS.
    """
    return _kept(_asked(request, parameters, None))


def _kept(asked: _Asked) -> PendingRequest:
    kept = {name: list(values) for name, values in asked.parameters.items()}
    return wait_for_person(asked.application, PROTOCOL, kept, context=asked.context)


def _asked(request: SiteRequest, parameters: Parameters, pending: PendingRequest | None) -> _Asked:
    client_ids = parameters.get("client_id", [])
    if len(client_ids) != 1:
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "client_id")
    context = context_of(request)
    application = application_of(client_ids[0], site=context.site)
    try:
        redirect_uri = requests.redirect_of(parameters, application.wish)
    except Refusal as refusal:
        note_refused(application, refusal, context=context)
        raise
    return _Asked(request, context, application, parameters, redirect_uri, pending)


def _decide(asked: _Asked, read: AuthorizationRequest) -> HttpResponse:
    session = asked.request.login_session
    decision = decide(read.ask, proofs_of(session) if session is not None else None)
    if session is not None and not _is_hinted(session, read, asked):
        decision = LoginRequired()  # somebody else than the application means is logged in
    if isinstance(decision, LoginRequired):
        raise RequestError("login_required")
    if isinstance(decision, LogIn):
        return _wait(asked, read, reverse("portal:login"))
    assert session is not None
    try:
        require_meant_for(session.account, asked.application.wish)
    except Refusal as refusal:
        return _refused_person(asked, refusal, "access_denied")
    if isinstance(decision, StepUp):
        return _step_up(asked, read, decision, session)
    return _enter(asked, read, decision, session)


def _is_hinted(session: Session, read: AuthorizationRequest, asked: _Asked) -> bool:
    """Whether ``id_token_hint`` is of the person who is logged in; a hint that is not ours is an error of the application's."""
    if not read.id_token_hint:
        return True
    application, context = asked.application, asked.context
    subject = hinted_subject(read.id_token_hint, site=context.site, issuer=context.origin, audience=application.client_id)
    if subject is None:
        raise RequestError("invalid_request", "id_token_hint")
    return hmac.compare_digest(subject, subject_of(session.account_id, application))


def _enter(asked: _Asked, read: AuthorizationRequest, decision: Enter, session: Session) -> HttpResponse:
    context = asked.context
    grant = new_grant(
        application=asked.application, session=session, entered=decision, protocol=PROTOCOL, scope=read.scope, context=context
    )
    code, row = tokens.new_code(
        grant,
        redirect_uri=read.redirect_uri,
        nonce=read.nonce,
        code_challenge=read.code_challenge,
        resource=read.resource,
        at=context.at,
    )
    open_grant(grant, row, answers=asked.pending, context=context)
    return _back(read.redirect_uri, {"code": code, "state": read.state, "iss": context.origin})


def _step_up(asked: _Asked, read: AuthorizationRequest, decision: StepUp, session: Session) -> HttpResponse:
    if decision.level == "lock" and not has_lock(session.account):
        refusal = Refusal(Reason.LOCK_NEEDED_HERE, "no lock is bound to the account")
        return _refused_person(asked, refusal, "unmet_authentication_requirements")
    return _wait(asked, read, reverse("portal:confirm"), {"by": decision.level})


def _wait(asked: _Asked, read: AuthorizationRequest, page: str, more: Mapping[str, str] | None = None) -> HttpResponse:
    """Send the person to prove themselves; the request waits here, nothing of it goes along but its number."""
    pending = asked.pending or _kept(asked)
    query = {"next": reverse("oidc:continue", args=[pending.pk]), **(more or {})}
    if read.login_hint:
        query["account"] = read.login_hint
    response = HttpResponseRedirect(f"{page}?{urlencode(query)}")
    if read.english is not None and settings.LANGUAGE_COOKIE_NAME not in asked.request.COOKIES:
        response.set_cookie(
            settings.LANGUAGE_COOKIE_NAME,
            "en" if read.english else "zh-hans",
            secure=settings.LANGUAGE_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


def _back(redirect_uri: str, answer: Mapping[str, str]) -> HttpResponse:
    """To the application, with whatever is not empty."""
    query = urlencode({name: value for name, value in answer.items() if value})
    response = HttpResponse(status=303)
    response["Location"] = redirect_uri + ("&" if "?" in redirect_uri else "?") + query
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _error(asked: _Asked, error: RequestError) -> HttpResponse:
    if error.code != "login_required":  # a silent look whether somebody is there: nothing was wrong
        note_refused(asked.application, Refusal(Reason.APPLICATION_REQUEST_WRONG, str(error)[:200]), context=asked.context)
    return _back(asked.redirect_uri, _error_answer(asked, error.code, error.description))


def _error_answer(asked: _Asked, code: str, description: str) -> dict[str, str]:
    """With ``iss``, as RFC 9207 clause 2 has it for errors too."""
    state = requests.state_of(asked.parameters)
    return {"error": code, "error_description": description, "state": state, "iss": asked.context.origin}


def _refused_person(asked: _Asked, refusal: Refusal, code: str) -> HttpResponse:
    """A page for the person, which says what helps and leads back to the application. ``prompt=none``: back at once."""
    note_refused(asked.application, refusal, context=asked.context)
    back = _back(asked.redirect_uri, _error_answer(asked, code, ""))
    if "none" in "".join(asked.parameters.get("prompt", [])).split():
        return back
    told = refusals.describe(refusal.reason, refusal.facts, number=refusal.number)
    return render(
        asked.request,
        "pages/application-refused.html",
        {"current": "apps", "refusal": told, "application": asked.application.name, "back": back["Location"]},
        status=status_of(refusal.reason),
    )
