"""挂失 and 恢复使用: a page each, so that a lost lock can be stopped on any computer, without driver and script."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.locks.models import Binding
from calock.server.locks.standing import bound_by_it, password_stands_on
from calock.server.locks.step_up import Evidence
from calock.server.locks.suspension import resume_lock, suspend_lock
from calock.server.portal.driver_page import driver_context
from calock.server.portal.render import page
from calock.server.portal.rows import row_of, with_certificates
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.services import is_fresh
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account

PROOF = (Reason.STEP_UP_REQUIRED, Reason.LOCK_PROOF_REQUIRED)


def _live(account: Account, binding_id: uuid.UUID, *, suspended: bool) -> Binding:
    rows = Binding.objects.visible_to(account).live().filter(suspended_at__isnull=not suspended)
    found: Binding | None = with_certificates(rows).filter(pk=binding_id).first()
    if found is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "none of this account's to report lost, or to resume")
    return found


@require_http_methods(["GET", "HEAD", "POST"])
def suspend(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """GET: what it does, and the question. POST ``reason``: do it.

    Raises:
        Refusal: BINDING_NOT_FOUND for one that this account does not see, or that is reported lost already.
    """
    account, _session = require_account(request)
    row = _live(account, binding_id, suspended=False)
    return _act(request, "suspend", row, partial(suspend_lock, binding=binding_id, by=account))


@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """The lock's own person answers with it, by script to ``/api/bindings/<id>/resume``; an administrator POSTs a ``reason``.

    Raises:
        Refusal: BINDING_NOT_FOUND for one that this account does not see, or that is not reported lost.
    """
    account, session = require_account(request)
    row = _live(account, binding_id, suspended=True)
    if request.method != "POST" and not is_fresh(session, at=timezone.now()):
        return HttpResponseRedirect(confirm_address(request.path))
    return _act(request, "resume", row, partial(resume_lock, binding=binding_id, evidence=Evidence(), by=account))


def _act(request: SiteRequest, act: str, row: Binding, verb: Callable[..., Binding]) -> HttpResponse:
    account, _session = require_account(request)
    if request.method != "POST":
        return _page(request, act, row, account)
    try:
        verb(reason=request.POST.get("reason", ""), context=context_of(request))
    except Refusal as refusal:
        return _refused(request, act, row, account, refusal)
    return HttpResponseRedirect(reverse("portal:binding", args=[row.pk]))


def _refused(request: SiteRequest, act: str, row: Binding, account: Account, refusal: Refusal) -> HttpResponse:
    if refusal.reason in PROOF:
        return HttpResponseRedirect(confirm_address(request.path))
    return _page(request, act, row, account, **refusals.for_page(request, refusal))


def _page(request: SiteRequest, act: str, row: Binding, account: Account, **context: Any) -> HttpResponse:
    by_lock = act == "resume" and row.account_id == account.pk
    at = timezone.now()
    ends: dict[str, Any] = {"falls": password_stands_on(row, row.account, at=at), "brought": "、".join(bound_by_it(row, at=at))}
    shown = row_of(row, site=request.site, at=at, number=1)
    driver = {"all_causes": True, **driver_context(request)} if by_lock else {}
    return page(request, act, "bindings", section="system", row=shown, by_lock=by_lock, **ends, **context, **driver)
