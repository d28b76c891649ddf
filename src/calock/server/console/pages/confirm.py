"""Operators prove who they are again, and return to the page they came from."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Refusal
from calock.server.console.access import PROOF_LIFE
from calock.server.console.pages.common import page
from calock.server.locks.step_up import Evidence, confirm_session
from calock.server.web import refusals
from calock.server.web.http import SiteRequest, context_of, require_account


def _back(request: HttpRequest) -> str:
    """A local address below the console; the dashboard for anything else."""
    wanted = urlsplit(request.GET.get("next", ""))
    local = wanted.path + (f"?{wanted.query}" if wanted.query else "")
    inside = local.startswith(reverse("admin:index")) and not local.startswith(reverse("admin:confirm"))
    return local if inside and url_has_allowed_host_and_scheme(local, allowed_hosts=None) else reverse("admin:dashboard")


@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    _, session = require_account(cast(SiteRequest, request))
    error = ""
    if request.method == "POST":
        context = context_of(cast(SiteRequest, request))
        try:
            confirm_session(session=session, evidence=Evidence(password=request.POST.get("password", "")), context=context)
            return HttpResponseRedirect(_back(request))
        except Refusal as refusal:
            refusals.audit(cast(SiteRequest, request), refusal)
            error = refusals.describe(refusal.reason, refusal.facts, number=refusal.number)["message"]
    return page(
        request,
        "console/confirm.html",
        title="确认身份",
        status=403 if error else 200,
        error=error,
        minutes=int(PROOF_LIFE.total_seconds() // 60),
        back=_back(request),
    )
