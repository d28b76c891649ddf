"""The addresses that this server may talk to, by purpose."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.approvals.models import Approval
from calock.server.console.pages.common import asked_by, page, take
from calock.server.egress.decisions import DESTINATION_ADD, propose_destination, remove_destination
from calock.server.egress.models import Destination
from calock.server.egress.purposes import listed_purposes


@require_http_methods(["GET", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        step = request.POST.get("step", "")
        take(request, "egress", step, lambda: _add(request) if step == "add" else _remove(request))
        return HttpResponseRedirect(reverse("admin:egress"))
    named = {purpose.code: purpose.title for purpose in listed_purposes()}
    return page(
        request,
        "console/egress.html",
        title="出口地址",
        rows=[(row, named.get(row.purpose, row.purpose)) for row in Destination.objects.all()],
        purposes=list(named.items()),
        waiting_here=Approval.objects.open_at(timezone.now()).filter(kind=DESTINATION_ADD).select_related("proposed_by"),
    )


def _add(request: HttpRequest) -> None:
    posted = request.POST
    propose_destination(
        purpose=posted.get("purpose", ""),
        url=posted.get("url", ""),
        private_network=posted.get("private_network") == "on",
        reason=posted.get("reason", ""),
        **asked_by(request),
    )


def _remove(request: HttpRequest) -> None:
    try:
        row = Destination.objects.filter(pk=uuid.UUID(request.POST.get("destination", ""))).first()
    except ValueError as error:
        raise Refusal(Reason.REQUEST_MALFORMED, "destination") from error
    if row is None:
        raise Refusal(Reason.NOT_FOUND, "the address is gone")
    remove_destination(destination=row, **asked_by(request))
