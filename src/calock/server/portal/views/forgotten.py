"""忘记密码: a code to a verified contact, then a new password. Open to everybody; what is shown is the same for every account."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.passwords import MIN_LENGTH
from calock.server.messaging.channels import ready_kinds
from calock.server.messaging.recovery import ask_for_code, reset_password
from calock.server.portal.render import page
from calock.server.portal.views.account import typed_twice
from calock.server.portal.views.contacts import LABELS
from calock.server.sessions import cookies
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of


@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: SiteRequest) -> HttpResponse:
    """Query: ``sent`` after a code was asked for, ``account`` whose. POST ``step``: ask, or reset.

    Raises:
        Refusal: CHANNEL_OFF where nothing can be sent.
    """
    if not ready_kinds():
        raise Refusal(Reason.CHANNEL_OFF, "neither mail nor SMS is configured")
    if request.method != "POST":
        return _page(request, sent="sent" in request.GET, done="done" in request.GET)
    reset = request.POST.get("step") == "reset"
    try:
        return _reset(request) if reset else _ask(request)
    except Refusal as refusal:
        return _page(request, **refusals.for_page(request, refusal), sent=reset)


def _ask(request: SiteRequest) -> HttpResponse:
    """The code counts in this browser alone: one without a cookie gets one."""
    own = ""
    if not cookies.pre_login_value(request):
        own = cookies.new_value()
        request.COOKIES[cookies.pre_login_cookie()] = own
    username, kind = request.POST.get("username", "")[:64], request.POST.get("kind", "")[:10]
    ask_for_code(username=username, kind=kind, language=get_language() or "zh-hans", context=context_of(request))
    response = HttpResponseRedirect(f"{reverse('portal:forgotten')}?{urlencode({'sent': '1', 'account': username})}")
    if own:
        cookies.set_pre_login(response, own)
    return response


def _reset(request: SiteRequest) -> HttpResponse:
    account = reset_password(
        username=request.POST.get("username", "")[:64],
        typed=request.POST.get("code", "")[:16],
        new=typed_twice(request),
        context=context_of(request),
    )
    response = HttpResponseRedirect(reverse("portal:forgotten") + "?done")
    cookies.remember_browser(response, cookies.known_browser(request), account.pk)
    return response


def _page(request: SiteRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    username = (request.POST.get("username") or request.GET.get("account", ""))[:64]
    kinds = [{"code": kind.value, "label": LABELS[kind]} for kind in ready_kinds()]
    rules = {"length": MIN_LENGTH}
    return page(request, "forgotten", "login", status=status, username=username, kinds=kinds, rules=rules, **context)
