"""离职: a page that says what will end, and the one button that ends it."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.contacts.models import Contact
from calock.server.locks.leaving import leave, leaver_of
from calock.server.locks.models import PendingBinding
from calock.server.locks.password_rules import password_does
from calock.server.locks.step_up import Evidence
from calock.server.messaging.channels import ready_kinds
from calock.server.portal.render import page
from calock.server.portal.rows import live_bindings, rows_of
from calock.server.portal.views.confirm import confirm_address
from calock.server.sessions.models import Session
from calock.server.sessions.services import is_fresh_by_lock
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account

PROOF = (Reason.STEP_UP_REQUIRED, Reason.LOCK_PROOF_REQUIRED)


@require_http_methods(["GET", "HEAD", "POST"])
def leaving(request: SiteRequest, key: uuid.UUID) -> HttpResponse:
    """GET: what will happen. POST ``reason``, and ``password`` unless the lock was proved in the last minutes.

    Raises:
        Refusal: NOT_FOUND for everybody but an ordinary member of the administrator's own organisation.
    """
    account, _session = require_account(request)
    member = leaver_of(key, account)
    if request.method != "POST":
        return _page(request, member)
    evidence = Evidence(password=request.POST.get("password", ""))
    try:
        leave(member=member, reason=request.POST.get("reason", ""), evidence=evidence, by=account, context=context_of(request))
    except Refusal as refusal:
        if refusal.reason in PROOF:
            return HttpResponseRedirect(confirm_address(request.path))
        return _page(request, member, **refusals.for_page(request, refusal), reason=request.POST.get("reason", ""))
    return HttpResponseRedirect(f"{reverse('portal:members')}?done=leave")


def _page(request: SiteRequest, member: Account, *, status: int = 200, **context: Any) -> HttpResponse:
    account, session = require_account(request)
    at = timezone.now()
    by_lock = is_fresh_by_lock(session, at=at)
    if not by_lock and not password_does(account, site=request.site.code, at=at):
        return HttpResponseRedirect(confirm_address(request.path))
    live = Session.objects.filter(account=member, ended_at__isnull=True, expires_at__gt=at).count()
    return page(
        request,
        "leaving",
        "members",
        section="system",
        status=status,
        member=member,
        rows=rows_of(live_bindings(member), site=request.site, at=at),
        sessions=live,
        told=Contact.objects.verified().filter(account=member, kind__in=ready_kinds()).exists(),
        claims=PendingBinding.objects.filter(account=member).count(),
        asks_password=not by_lock,
        **context,
    )
