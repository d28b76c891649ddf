"""The account's own pages: sessions and password."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.codes import choose_password
from calock.server.accounts.passwords import MIN_LENGTH
from calock.server.accounts.services import change_own_password, may_choose_without_old
from calock.server.grants.entries import entered, exit_application
from calock.server.locks.password_rules import has_lock
from calock.server.messaging.channels import ready_kinds
from calock.server.portal.login_history import refused_logins
from calock.server.portal.render import page, post_only
from calock.server.portal.views.confirm import confirm_address
from calock.server.receipts.models import Receipt
from calock.server.sessions import cookies
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_other_sessions, end_own_session, idle_limit, live_sessions
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account

SHOWN = 20
TOKEN = 16
"""A session is named on its page by the first 16 hex digits of its digest: enough among one account's, useless as a cookie."""


def _others(own: Session) -> QuerySet[Session]:
    """The account's other sessions that may still be used, on all sites."""
    limits = {code: idle_limit(profile.idle_minutes, operator=own.account.is_operator) for code, profile in sites().items()}
    return live_sessions(account_id=own.account_id, limits=limits, at=clock.now()).exclude(pk=own.pk)


def _other(own: Session, name: str) -> Session:
    """One of them by its name on the page."""
    found = _others(own).filter(pk__startswith=name).first() if len(name) == TOKEN else None
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "no other live session of this account has that name")
    return found


@require_safe
def sessions(request: SiteRequest) -> HttpResponse:
    account, own = require_account(request)
    others = _others(own)
    count = others.count()
    live = [own, *others[: SHOWN - 1]]
    receipts = _receipts(account.pk, live)
    over = Session.objects.filter(account=account).exclude(pk=own.pk).exclude(pk__in=others.values("pk"))
    return page(
        request,
        "sessions",
        "sessions",
        section="system",
        live=[(session, receipts.get(session.pk, "")) for session in live],
        hidden=max(0, count - (SHOWN - 1)),
        past=over.order_by("-created_at")[:SHOWN],
        refused=refused_logins(account),
        own=own,
        entered=entered(live),
        ended="ended" in request.GET,
        left="left" in request.GET,
    )


def _receipts(account: uuid.UUID, live: list[Session]) -> dict[str, str]:
    """Numbers of the receipts of the logins that opened these sessions."""
    rows = Receipt.objects.filter(account=account, purpose="login", session__in=[session.pk for session in live])
    return dict(rows.values_list("session", "number"))


@post_only("sessions")
def end_session(request: SiteRequest) -> HttpResponse:
    """End one of the account's other sessions, or all of them (``session=others``).

    Raises:
        Refusal: NOT_FOUND for a name that is none of this account's other live sessions.
    """
    account, own = require_account(request)
    name = request.POST.get("session", "")
    if name == "others":
        end_other_sessions(own=own, context=context_of(request))
    else:
        end_own_session(session=_other(own, name), by=account.pk, context=context_of(request))
    return HttpResponseRedirect(reverse("portal:sessions") + "?ended")


@post_only("sessions")
def leave_application(request: SiteRequest) -> HttpResponse:
    """Out of one application, in one of the account's live sessions.

    Raises:
        Refusal: NOT_FOUND for a session of somebody else, or one that is not in there.
    """
    _account, own = require_account(request)
    name, number = request.POST.get("session", ""), request.POST.get("application", "")
    session = own if name == own.pk[:TOKEN] else _other(own, name)
    try:
        exit_application(session=session, application=uuid.UUID(number), context=context_of(request))
    except ValueError as error:
        raise Refusal(Reason.NOT_FOUND, "no application has such a number") from error
    return HttpResponseRedirect(reverse("portal:sessions") + "?left")


@require_http_methods(["GET", "HEAD", "POST"])
def password(request: SiteRequest) -> HttpResponse:
    account, _session = require_account(request)
    if request.method != "POST":
        return _password_page(request, done="changed" in request.GET)
    try:
        new = typed_twice(request)
        change_own_password(account=account, old=request.POST.get("current", ""), new=new, context=context_of(request))
    except Refusal as refusal:
        return _password_page(request, **refusals.for_page(request, refusal))
    return HttpResponseRedirect(reverse("portal:password") + "?changed")


@require_http_methods(["GET", "HEAD", "POST"])
def password_code(request: SiteRequest) -> HttpResponse:
    """Choose a password with a one-time code. Open to people who are not logged in; nobody is logged in by it."""
    username = request.POST.get("username", request.GET.get("account", ""))[:64]
    if request.method != "POST":
        return page(
            request,
            "password-code",
            "login",
            username=username,
            rules=_rules(),
            done="done" in request.GET,
            by_contact=bool(ready_kinds()),
        )
    try:
        new = typed_twice(request)
        code = request.POST.get("code", "")
        account = choose_password(username=username.strip(), code=code, new=new, context=context_of(request))
    except Refusal as refusal:
        return page(request, "password-code", "login", username=username, rules=_rules(), **refusals.for_page(request, refusal))
    response = HttpResponseRedirect(reverse("portal:password_code") + "?done")
    cookies.remember_browser(response, cookies.known_browser(request), account.pk)
    return response


def typed_twice(request: HttpRequest) -> str:
    """The new password of a form.

    Raises:
        Refusal: PASSWORD_UNACCEPTABLE when it was typed twice differently.
    """
    new = request.POST.get("new", "")
    if new != request.POST.get("again", ""):
        raise Refusal(Reason.PASSWORD_UNACCEPTABLE, "typed twice differently", {"why": _("两次输入不一致")})
    return new


def _rules() -> dict[str, int]:
    return {"length": MIN_LENGTH}


def _password_page(request: SiteRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    account, session = require_account(request)
    return page(
        request,
        "password",
        "password",
        section="system",
        status=status,
        rules=_rules(),
        names=f"{account.username} {account.name}",
        forced=account.must_change_password,
        by_lock=may_choose_without_old(account, session, at=clock.now()),
        prove_address=confirm_address(reverse("portal:password")) if has_lock(account) and not account.is_operator else "",
        **context,
    )
