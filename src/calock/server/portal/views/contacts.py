"""联系方式: where a person wants to be told. Forms only; each act redirects, so that reloading repeats nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.contacts.models import Contact
from calock.server.contacts.values import ContactKind
from calock.server.messaging import verifying
from calock.server.messaging.channels import ready_kinds
from calock.server.portal.render import page, post_only
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.services import is_fresh_by_lock
from calock.server.tools import clock
from calock.server.tools.encryption import NotOpenedError
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account

PROOF = (Reason.STEP_UP_REQUIRED, Reason.LOCK_PROOF_REQUIRED, Reason.PASSWORD_RESET_LATELY)
LABELS = {ContactKind.MAIL: _("邮箱"), ContactKind.PHONE: _("手机号")}
_REPLACE = {ContactKind.MAIL: _("更换邮箱"), ContactKind.PHONE: _("更换手机号")}
_AGAIN = {ContactKind.MAIL: _("重新验证或更换邮箱"), ContactKind.PHONE: _("重新验证或更换手机号")}


@dataclass(frozen=True, slots=True)
class Shown:
    """One kind of contact on the page."""

    code: ContactKind
    verified: Contact | None
    pending: Contact | None
    typed: str

    @property
    def label(self) -> str:
        return str(LABELS[self.code])

    @property
    def replace(self) -> str:
        doubted = self.verified is not None and self.verified.removed_by_lock is not None
        return str((_AGAIN if doubted else _REPLACE)[self.code])


@require_safe
def contacts(request: SiteRequest) -> HttpResponse:
    return _page(request, done=request.GET.get("done", "")[:10])


@post_only("contacts")
def add(request: SiteRequest) -> HttpResponse:
    """Fields: ``kind``; ``value`` and ``password``, or ``again`` to send the waiting one another code."""
    account, _session = require_account(request)
    kind = request.POST.get("kind", "")[:10]

    def act() -> str:
        text = _waiting(account, kind) if "again" in request.POST else request.POST.get("value", "")[:300]
        given = {"text": text, "password": request.POST.get("password", "")[:128], "language": get_language() or "zh-hans"}
        verifying.add_contact(account=account, kind=kind, context=context_of(request), **given)
        return ""

    return _act(request, act, kind=kind)


def _waiting(account: Account, kind: str) -> str:
    known = kind if kind in ContactKind.values else ""  # PostgreSQL refuses to look for some texts
    row = Contact.objects.kept().filter(account=account, kind=known, verified_at__isnull=True).first()
    try:
        return row.value if row else ""
    except NotOpenedError:
        return ""


@post_only("contacts")
def verify(request: SiteRequest, key: uuid.UUID) -> HttpResponse:
    account, _session = require_account(request)

    def act() -> str:
        typed = request.POST.get("code", "")[:16]
        verifying.verify_contact(account=account, contact=key, typed=typed, context=context_of(request))
        return "?done=verified"

    return _act(request, act)


@post_only("contacts")
def remove(request: SiteRequest, key: uuid.UUID) -> HttpResponse:
    account, _session = require_account(request)

    def act() -> str:
        verifying.remove_contact(account=account, contact=key, context=context_of(request))
        return "?done=removed"

    return _act(request, act)


def _act(request: SiteRequest, act: Callable[[], str], *, kind: str = "") -> HttpResponse:
    """Do it and show the page anew; whose proof does not do is asked for it."""
    try:
        after = act()
    except Refusal as refusal:
        if refusal.reason in PROOF:
            return HttpResponseRedirect(_prove(refusal.reason))
        typed = {kind: request.POST.get("value", "")[:300]}
        return _page(request, typed=typed, **refusals.for_page(request, refusal))
    return HttpResponseRedirect(reverse("portal:contacts") + after)


def _prove(reason: Reason) -> str:
    address = confirm_address(reverse("portal:contacts"))
    return address if reason == Reason.STEP_UP_REQUIRED else f"{address}&by=lock"


def _page(request: SiteRequest, *, status: int = 200, typed: dict[str, str] | None = None, **context: Any) -> HttpResponse:
    account, session = require_account(request)
    rows = list(Contact.objects.kept().filter(account=account))
    verified = {row.kind: row for row in rows if row.verified_at is not None}
    pending = {row.kind: row for row in rows if row.verified_at is None}
    offered = {*ready_kinds(), *verified}  # one that is kept can be removed, whatever is ready
    shown = [kind for kind in ContactKind if kind in offered]
    kinds = [Shown(kind, verified.get(kind), pending.get(kind), (typed or {}).get(kind, "")) for kind in shown]
    missing = _missing_proof(account, request)
    return page(
        request,
        "contacts",
        "contacts",
        section="system",
        status=status,
        kinds=kinds,
        rows=rows,
        fresh=missing is None,
        asks_password=not is_fresh_by_lock(session, at=clock.now()),
        prove_address=_prove(missing) if missing else "",
        **context,
    )


def _missing_proof(account: Account, request: SiteRequest) -> Reason | None:
    """What keeps the session from changing contacts now."""
    try:
        verifying.require_may_change(account, context_of(request))
    except Refusal as refusal:
        return refusal.reason
    return None
