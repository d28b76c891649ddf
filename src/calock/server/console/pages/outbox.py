"""What waits to be sent, what could not be sent and why, and one more try."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from calock.core.refusals import Reason, Refusal
from calock.server.console.pages.common import asked_by, page, take
from calock.server.outbox.kinds import kind_named
from calock.server.outbox.models import Message, MessageQuerySet
from calock.server.outbox.services import send_again

SHOWN = 100
"""Messages of each list. More than that wait only while a receiver is away; the figures count them all."""


@require_http_methods(["GET", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        _take(request)
        return HttpResponseRedirect(reverse("admin:outbox"))
    waiting, failed = Message.objects.waiting(), Message.objects.failed()
    return page(
        request,
        "console/outbox.html",
        title="待发消息",
        waiting=_shown(waiting),
        failed=_shown(failed),
        figures=(
            ("等待发送", waiting.count(), ""),
            ("其中重试中", waiting.filter(attempts__gt=0).count(), "warn"),
            ("未送达", failed.count(), "bad"),
        ),
        at=timezone.now(),
    )


def _shown(rows: MessageQuerySet) -> list[tuple[Message, str]]:
    found = []
    for row in rows[:SHOWN]:
        kind = kind_named(row.kind)
        found.append((row, kind.title if kind else row.kind))
    return found


def _take(request: HttpRequest) -> None:
    def do() -> None:
        try:
            message = uuid.UUID(request.POST.get("message", ""))
        except ValueError as error:
            raise Refusal(Reason.REQUEST_MALFORMED, "message") from error
        send_again(message=message, **asked_by(request))

    take(request, "outbox", request.POST.get("step", ""), do)
