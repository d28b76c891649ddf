"""What waits for a second operator, what was decided, and the decision itself."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from calock.server.approvals.kinds import kind_of, title_of
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve, reject, take_back
from calock.server.console.pages.common import asked_by, operator_and_context, page, take, version_of

RECENT = 30


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    waiting = Approval.objects.open_at(timezone.now()).select_related("proposed_by")
    others = Approval.objects.exclude(pk__in=waiting.values("pk")).select_related("proposed_by", "decided_by")
    decided = others.order_by("-decided_at", "-proposed_at")[:RECENT]
    return page(
        request,
        "console/approvals.html",
        title="双人复核",
        open=[(row, title_of(row)) for row in waiting],
        decided=[(row, title_of(row)) for row in decided],
    )


@require_http_methods(["GET", "POST"])
def decide(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    approval = get_object_or_404(Approval.objects.select_related("proposed_by", "decided_by"), pk=key)
    if request.method == "POST":
        _decide(request, approval)
        return HttpResponseRedirect(reverse("admin:approvals"))
    operator, context = operator_and_context(request)
    return page(
        request,
        "console/approval.html",
        title=kind_of(approval).title,
        approval=approval,
        facts=kind_of(approval).facts(approval),
        mine=approval.proposed_by_id == operator.pk,
        open=approval.state == "pending" and context.at < approval.closes_at,
        intact=approval.is_intact(),
    )


def _decide(request: HttpRequest, approval: Approval) -> None:
    step = request.POST.get("step", "")

    def do() -> None:
        key, seen, note = approval.pk, version_of(request), request.POST.get("note", "")
        if step == "approve":
            sha256 = request.POST.get("sha256", "")
            approve(approval_id=key, version=seen, sha256=sha256, **asked_by(request), note=note)
        elif step == "reject":
            reject(approval_id=key, version=seen, **asked_by(request), note=note)
        else:
            take_back(approval_id=key, version=seen, **asked_by(request))

    take(request, "approval", step, do)
