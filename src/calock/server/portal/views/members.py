"""人员管理: an organisation's administrator creates, disables and helps its ordinary members."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import members as verbs
from calock.server.accounts.creation import create_account
from calock.server.accounts.handing_over import code_link
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.organisations import set_lock_only
from calock.server.accounts.services import reset_password
from calock.server.locks.password_rules import password_counts, refuse_power_after_reset
from calock.server.organisations.models import Organisation
from calock.server.portal.render import page, post_only
from calock.server.portal.rows import live_bindings
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.services import is_fresh, is_fresh_by_lock
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account

PER_PAGE = 20


def _administrator(request: SiteRequest) -> tuple[Account, Organisation]:
    """The account that asks, with its organisation.

    Raises:
        Refusal: NOT_FOUND for everybody who is no administrator: for them there is no such page.
    """
    account, _session = require_account(request)
    if account.role != Role.ORGANISATION_ADMIN or account.organisation is None:
        raise Refusal(Reason.NOT_FOUND, "for administrators of organisations")
    return account, account.organisation


def _needs_proof(request: SiteRequest, account: Account) -> bool:
    """Acts on other people's accounts ask for a proof of the last minutes, as binding does.

    Raises:
        Refusal: PASSWORD_RESET_LATELY.
    """
    _account, session = require_account(request)
    at = timezone.now()
    if not is_fresh(session, at=at):
        return True
    by_lock = is_fresh_by_lock(session, at=at)
    if not by_lock and not password_counts(account, site=request.site.code, at=at):
        return True
    refuse_power_after_reset(account, lock=session.proved_lock_id if by_lock else None, at=at)
    return False


@require_http_methods(["GET", "HEAD", "POST"])
def members(request: SiteRequest) -> HttpResponse:
    """GET: the list; query ``q`` search words, ``page``. POST: create a member."""
    account, organisation = _administrator(request)
    if request.method != "POST":
        return _list(request, organisation)
    if _needs_proof(request, account):
        return HttpResponseRedirect(confirm_address(reverse("portal:members")))
    given = {name: request.POST.get(name, "").strip() for name in ("username", "name")}
    try:
        made, code = create_account(**given, role=Role.MEMBER, organisation=organisation, by=account, context=context_of(request))
    except Refusal as refusal:
        return _refused(request, organisation, refusal, adding=given)
    return _code(request, made, code)


def _list(request: SiteRequest, organisation: Organisation, *, status: int = 200, **context: Any) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()[:64]
    live = Count("bindings", filter=Q(bindings__unbound_at__isnull=True))
    rows = Account.objects.filter(organisation=organisation)
    if words:
        rows = rows.filter(Q(name__icontains=words) | Q(username__icontains=words))
    pages = Paginator(rows.order_by("name", "username"), PER_PAGE).get_page(request.GET.get("page"))
    shown = Account.objects.filter(pk__in=[row.pk for row in pages]).annotate(locks=live).order_by("name", "username")
    return page(
        request, "members", "members", section="system", status=status, rows=list(shown), pages=pages, words=words,
        done=request.GET.get("done", ""), lock_only=_is_on(organisation, request), **context,
    )  # fmt: skip


def _is_on(organisation: Organisation, request: SiteRequest) -> bool:
    return request.site.lock_only if organisation.lock_only is None else bool(organisation.lock_only)


def _refused(request: SiteRequest, organisation: Organisation, refusal: Refusal, **context: Any) -> HttpResponse:
    shown = refusals.for_page(request, refusal)
    if refusal.reason == Reason.REQUEST_MALFORMED and refusal.detail:
        shown["refusal"]["message"] = refusal.detail
    return _list(request, organisation, **shown, **context)


def _code(request: SiteRequest, member: Account, code: str) -> HttpResponse:
    """The only answer that ever shows this code."""
    link = code_link(request.site_origin, username=member.username, code=code)
    return page(request, "member-code", "members", section="system", member=member, code=code, link=link)


@post_only("members")
def way_in(request: SiteRequest) -> HttpResponse:
    """The organisation's switch: with a bound lock its members log in with it alone."""
    account, organisation = _administrator(request)
    if _needs_proof(request, account):
        return HttpResponseRedirect(confirm_address(reverse("portal:members")))
    chosen = request.POST.get("value", "")
    if chosen not in ("on", "off"):
        raise Refusal(Reason.REQUEST_MALFORMED, "value")
    set_lock_only(organisation=organisation, value=chosen == "on", by=account, context=context_of(request))
    return HttpResponseRedirect(f"{reverse('portal:members')}?done=way")


@post_only("members")
def step(request: SiteRequest, key: uuid.UUID) -> HttpResponse:
    """One act on one member.

    Raises:
        Refusal: NOT_FOUND for an account that is none of this organisation's ordinary members.
    """
    account, organisation = _administrator(request)
    member = Account.objects.filter(pk=key, organisation=organisation, role=Role.MEMBER).first()
    if member is None:
        raise Refusal(Reason.NOT_FOUND, "no ordinary member of this organisation")
    if _needs_proof(request, account):
        return HttpResponseRedirect(confirm_address(reverse("portal:members")))
    act = _STEPS.get(request.POST.get("step", ""))
    if act is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "step")
    try:
        return act(request, account, member)
    except Refusal as refusal:
        return _refused(request, organisation, refusal)


def _reset(request: SiteRequest, account: Account, member: Account) -> HttpResponse:
    return _code(request, member, reset_password(member=member, by=account, context=context_of(request)))


def _set_state(request: SiteRequest, account: Account, member: Account) -> HttpResponse:
    wanted = AccountState.ACTIVE if request.POST["step"] == "enable" else AccountState.DISABLED
    verbs.set_account_state(member=member, state=wanted, by=account, context=context_of(request))
    bare = wanted == AccountState.ACTIVE and not live_bindings(member)  # 离职 ended them, and nothing brings them back
    return HttpResponseRedirect(f"{reverse('portal:members')}?done={'enable_unbound' if bare else request.POST['step']}")


def _rename(request: SiteRequest, account: Account, member: Account) -> HttpResponse:
    verbs.rename_account(member=member, name=request.POST.get("name", "").strip(), by=account, context=context_of(request))
    return HttpResponseRedirect(f"{reverse('portal:members')}?done=rename")


_STEPS: dict[str, Callable[[SiteRequest, Account, Account], HttpResponse]] = {
    "reset": _reset,
    "disable": _set_state,
    "enable": _set_state,
    "rename": _rename,
}
