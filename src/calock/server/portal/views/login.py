"""The login page and the way out. The CA tab talks to ``/api/`` by script; account and password are a plain form."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Refusal
from calock.server.grants.services import destination_of
from calock.server.login import services
from calock.server.login.views import landing
from calock.server.portal.driver_page import driver_context
from calock.server.portal.render import page, post_only
from calock.server.sessions import cookies
from calock.server.web import refusals
from calock.server.web.csp import allow_form_to
from calock.server.web.http import SiteRequest, context_of

OVER = {
    "unbound": _("登录所用的 CA 锁已解除绑定，本次登录随之结束，请重新登录"),
    "idle": _("您较长时间没有操作，系统已为您安全退出，请重新登录"),
    "damaged": _("账户记录的完整性校验未通过，本次登录已结束，请联系平台处理"),
    "ended": _("登录已失效，请重新登录"),
}
"""Why somebody who was logged in stands before the login page, by the word in its address (``refusals.OVER``)."""


@require_http_methods(["GET", "HEAD", "POST"])
def login(request: SiteRequest) -> HttpResponse:
    wanted = (request.POST if request.method == "POST" else request.GET).get("next", "")[:500]
    if request.method == "POST":
        return _log_in(request, wanted)
    if request.login_session is not None:
        return HttpResponseRedirect(landing(request, wanted))
    return _show(request, wanted)


def _log_in(request: SiteRequest, wanted: str) -> HttpResponse:
    username = request.POST.get("username", "")
    try:
        entered = services.login_with_password(
            username=username, password=request.POST.get("password", ""), context=context_of(request)
        )
    except Refusal as refusal:
        return _show(request, wanted, **refusals.for_page(request, refusal), username=username[:64])
    response = HttpResponseRedirect(landing(request, wanted))
    cookies.set_session(response, entered.cookie)
    cookies.remember_browser(response, cookies.known_browser(request), entered.session.account_id)
    return response


def _show(request: SiteRequest, wanted: str, *, status: int = 200, **context: Any) -> HttpResponse:
    over = OVER.get(request.GET.get("over", ""), "")
    context = {"username": request.GET.get("account", "")[:64], **context}
    response = page(request, "login", "login", status=status, next=wanted, over=over, **context, **driver_context(request))
    return allow_form_to(response, destination_of(wanted))


@post_only("home")
def logout(request: SiteRequest) -> HttpResponse:
    if request.login_session is not None:
        services.logout(session=request.login_session, context=context_of(request))
    response = HttpResponseRedirect(reverse("portal:home"))
    cookies.clear_session(response)
    return response
