"""Proving in the middle of a session who one is: for the console, and for acts that ask for a recent proof."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Refusal
from calock.server.grants.services import destination_of
from calock.server.locks.password_rules import has_lock, password_does
from calock.server.locks.step_up import Evidence, confirm_session
from calock.server.portal.driver_page import driver_context
from calock.server.portal.render import page
from calock.server.sessions import cookies
from calock.server.web import refusals
from calock.server.web.csp import allow_form_to
from calock.server.web.http import SiteRequest, context_of, require_account
from calock.server.web.links import is_local


def confirm_address(back: str) -> str:
    """Where to prove who one is, to go on at ``back``, a path of this site."""
    return f"{reverse('portal:confirm')}?{urlencode({'next': back})}"


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")[:500]
    return wanted if is_local(wanted) and not wanted.startswith(reverse("portal:confirm")) else reverse("portal:bindings")


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: SiteRequest) -> HttpResponse:
    """Query: ``next``; ``by=lock`` where a password would not do. It is a form; a lock answers by script to ``/api/step-up``."""
    _account, session = require_account(request)
    back = _next(request)
    if request.method != "POST":
        return _show(request, back)
    try:
        evidence = Evidence(password=request.POST.get("password", ""))
        cookie = confirm_session(session=session, evidence=evidence, context=context_of(request))
    except Refusal as refusal:
        return _show(request, back, **refusals.for_page(request, refusal))
    response = HttpResponseRedirect(back)
    cookies.set_session(response, cookie)
    return response


def _show(request: SiteRequest, back: str, *, status: int = 200, refusal: object = None) -> HttpResponse:
    account, _session = require_account(request)
    for_console = back.startswith(reverse("admin:index"))
    does = password_does(account, site=request.site.code, at=timezone.now())
    by_lock = request.GET.get("by") == "lock"
    response = page(
        request,
        "confirm",
        "confirm",
        section="system",
        status=status,
        next=back,
        may_type=does and not by_lock and not (for_console and settings.CALOCK.operators_need_lock),
        by_lock=by_lock,
        has_lock=has_lock(account),
        for_console=for_console,
        refusal=refusal,
        **driver_context(request),
    )
    return allow_form_to(response, destination_of(back))
