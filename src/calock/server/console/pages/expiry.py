"""The wave of renewals that comes: how many bound locks expire in each month, by provider."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from calock.server.console.pages.common import page
from calock.server.expiry.overview import months_from, waves


@require_GET
def expiry(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    rows = waves(now)
    months = [month.text for month in months_from(now)]
    sums = [sum(row.counts[place] for row in rows) for place in range(len(months))]
    return page(
        request,
        "console/expiry.html",
        title="到期一览",
        months=list(zip(months, sums, strict=True)),
        rows=rows,
        highest=max(sums, default=0),
        total=sum(sums),
        next_three=sum(sums[:3]),
    )
