"""CA绑定与解绑 / CA 用户管理: the list, one binding's details."""

from __future__ import annotations

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.claims import withdraw_claim
from calock.server.locks.consent import confirm_binding
from calock.server.locks.models import Binding, PendingBinding
from calock.server.locks.password_rules import password_does
from calock.server.portal.binding_query import ORDERS, STATUSES, file_rows, known, narrowed, ordered, searched
from calock.server.portal.driver_page import driver_context
from calock.server.portal.render import page, post_only
from calock.server.portal.rows import live_bindings, row_of, rows_of, with_certificates
from calock.server.portal.views.confirm import confirm_address
from calock.server.receipts.models import Receipt
from calock.server.sessions.services import STEP_UP, is_fresh
from calock.server.tools import clock
from calock.server.tools.prepared import prepared
from calock.server.web import exports
from calock.server.web.http import SiteRequest, context_of, require_account

PER_PAGE = 10
SHOWN_CLAIMS = 50


@require_safe
def binding_list(request: SiteRequest) -> HttpResponseBase:
    """``q``: search words, ``state`` live or ended, ``status``, ``order``, ``page``; ``export`` csv or xlsx: a file of all."""
    account, session = require_account(request)
    words = request.GET.get("q", "").replace("\0", "").strip()[:64]
    status, order = known(request.GET.get("status", ""), STATUSES), known(request.GET.get("order", ""), ORDERS)
    ended, now = request.GET.get("state") == "ended", timezone.now()

    def found() -> QuerySet[Binding]:
        bindings = searched(Binding.objects.visible_to(account).filter(unbound_at__isnull=not ended), words)
        return with_certificates(ordered(narrowed(bindings, status, now), order, ended=ended))

    if request.GET.get("export") in exports.TYPES:
        rows = rows_of(list(found()[: exports.MAX_ROWS]), site=request.site, at=now)
        return exports.file_of(str(request.site.bindings.list_name), request.GET["export"], file_rows(rows))
    as_it_opens = account.administers is None and not (ended or words or status or order)
    own = live_bindings(account) if as_it_opens else None
    pages = Paginator(found() if own is None else own, PER_PAGE).get_page(request.GET.get("page"))
    rows = rows_of(list(pages), site=request.site, at=now, first=pages.start_index(), viewer=account)
    chosen = {"q": words, "state": "ended" if ended else "live", "status": status, "order": order}
    return page(
        request,
        "bindings",
        "bindings",
        section="system",
        rows=rows,
        pages=pages,
        words=words,
        ended=ended,
        chosen=chosen,
        query=urlencode({name: value for name, value in chosen.items() if value}),
        narrowed=bool(words or status),
        page_numbers=pages.paginator.get_elided_page_range(pages.number, on_each_side=2, on_ends=1),
        fresh_seconds=max(0, int((session.authenticated_at + STEP_UP - clock.now()).total_seconds())),
        password_does=password_does(account, site=request.site.code, at=timezone.now()),
        claims=_claims(account.pk, account.administers) if not ended else (),
        members=_members(account),
        **driver_context(request, own),
    )


@prepared
def _claims(account: Any, organisation: Any) -> QuerySet[PendingBinding]:
    overseen = Account.objects.overseen(account, organisation).values("pk")
    return PendingBinding.objects.filter(account__in=overseen).select_related("account", "provider")[:SHOWN_CLAIMS]


def _members(account: Account) -> list[Account]:
    """For whom the account may bind a lock."""
    return [account] if account.administers is None else list(Account.objects.bindable_by(account).order_by("name", "username"))


@post_only("bindings")
def confirm(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """Give the consent that a binding waits for.

    Raises:
        Refusal: BINDING_NOT_FOUND, PASSWORD_RESET_LATELY.
    """
    account, _session = require_account(request)
    try:
        confirm_binding(binding=binding_id, by=account, context=context_of(request))
    except Refusal as refusal:
        if refusal.reason not in (Reason.STEP_UP_REQUIRED, Reason.LOCK_PROOF_REQUIRED):
            raise
        return HttpResponseRedirect(confirm_address(reverse("portal:bindings")))
    return HttpResponseRedirect(reverse("portal:bindings"))


@post_only("bindings")
def withdraw(request: SiteRequest, claim_id: uuid.UUID) -> HttpResponse:
    """End what a list says of the person's own account.

    Raises:
        Refusal: BINDING_NOT_FOUND.
    """
    account, _session = require_account(request)
    withdraw_claim(claim=claim_id, by=account, context=context_of(request))
    return HttpResponseRedirect(reverse("portal:bindings"))


def _visible(binding_id: uuid.UUID, account: Account) -> Binding:
    binding = with_certificates(Binding.objects.visible_to(account)).filter(pk=binding_id).first()
    if binding is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "not among the bindings this account sees")
    return binding


@require_safe
def binding_detail(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """One binding with its certificate's versions; for its holder and their organisation's administrator only.

    Raises:
        Refusal: BINDING_NOT_FOUND also for a binding that exists and is somebody else's.
    """
    account, _session = require_account(request)
    binding = _visible(binding_id, account)
    row = row_of(binding, site=request.site, at=timezone.now(), number=1)
    versions = [version for version in binding.lock.certificates.order_by("-not_after") if binding.shows(version)]
    kept = Receipt.objects.of(account.pk).filter(binding=binding.pk).exclude(purpose="login")
    receipts = [receipt for receipt in kept if receipt.opens_for(account.pk)]
    return page(request, "binding", "bindings", section="system", row=row, versions=versions, receipts=receipts)


@require_safe
def certificate(request: SiteRequest, binding_id: uuid.UUID) -> HttpResponse:
    """The certificate that the details show, as a file (RFC 5280, DER), for a person who just proved who they are.

    It holds the holder's number in clear, which the pages mask; so each file is a row of the trail.

    Raises:
        Refusal: BINDING_NOT_FOUND as for the details; NOT_FOUND when the lock came without a certificate.
    """
    account, session = require_account(request)
    context, binding = context_of(request), _visible(binding_id, account)
    found = row_of(binding, site=request.site, at=context.at, number=1).certificate
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the lock has no certificate yet")
    if not is_fresh(session, at=context.at):
        return HttpResponseRedirect(confirm_address(reverse("portal:binding", args=[binding.pk])))
    response = HttpResponse(found.der, content_type="application/pkix-cert")
    response["Content-Disposition"] = f'attachment; filename="certificate-{found.serial}.cer"'
    response["Cache-Control"] = "no-store"
    details = {"certificate": found.cert_sha256, "binding": str(binding.pk)}
    record(
        Event.CERTIFICATE_DOWNLOADED,
        context=context,
        actor=account,
        subject=binding.account_id,
        lock=binding.lock_id,
        details=details,
    )
    return response
