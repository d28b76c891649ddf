"""Why people do not get in: refusals by reason, browser and provider."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from calock.server.console.pages.common import page
from calock.server.console.statistics import failures_since
from calock.server.providers.models import Provider

PERIODS = {
    "1h": ("1 小时", timedelta(hours=1)),
    "24h": ("24 小时", timedelta(days=1)),
    "7d": ("7 天", timedelta(days=7)),
    "30d": ("30 天", timedelta(days=30)),
}


@require_GET
def failures(request: HttpRequest) -> HttpResponse:
    chosen = request.GET.get("period", "")
    chosen = chosen if chosen in PERIODS else "24h"
    names = dict(Provider.objects.values_list("code", "name"))
    found = failures_since(timezone.now() - PERIODS[chosen][1])
    return page(
        request,
        "console/failures.html",
        title="失败统计",
        periods=[(code, words, code == chosen) for code, (words, _) in PERIODS.items()],
        found=found,
        providers=[(names.get(code, code) or "未指明", count) for code, count in found.providers],
        percent=round(100 * found.refused / found.attempts) if found.attempts else 0,
    )
