"""The trust dashboard: per provider its anchors, its revocation data, and who got in and who did not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from calock.server.console.pages.common import page
from calock.server.console.statistics import ProviderCount, by_provider
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.revocation_health import Health, SourceHealth, health_of
from calock.server.providers.trust import current_problems

SOON = timedelta(days=180)
"""An anchor's successor must be recognised before this; a CA needs months to hand one over."""


@dataclass(frozen=True, slots=True)
class CaRow:
    record: CaRecord
    tone: str
    """How the page colours it: good, warn, bad, or nothing."""
    words: str


@dataclass(frozen=True, slots=True)
class Source:
    judged: SourceHealth
    tone: str
    words: str
    percent: int | None


@dataclass(frozen=True, slots=True)
class ProviderRow:
    provider: Provider
    tone: str
    cas: list[CaRow]
    sources: list[Source]
    counts: ProviderCount


_HEALTH = {
    Health.GOOD: ("good", "正常"),
    Health.NEVER: ("warn", "尚未获取"),
    Health.FAILING: ("warn", "获取失败"),
    Health.AGEING: ("warn", "临近过期"),
    Health.EXPIRED: ("bad", "已过期"),
}


def _ca(record: CaRecord, at: datetime) -> CaRow:
    if record.state != CaState.RECOGNISED:
        return CaRow(record, "", record.get_state_display())
    if record.not_after <= at:
        return CaRow(record, "bad", "已过期")
    return CaRow(record, "warn", "即将到期") if record.not_after - at < SOON else CaRow(record, "good", "已互认")


def _sources(record: CaRecord, at: datetime) -> list[Source]:
    judged = [health_of(source, at=at) for source in record.revocation_sources.all()]
    return [Source(one, *_HEALTH[one.health], None if one.used is None else min(100, round(100 * one.used))) for one in judged]


def provider_row(provider: Provider, counts: ProviderCount, at: datetime) -> ProviderRow:
    """One provider's card: withdrawn CA records are history and stay on its own page."""
    records = sorted(provider.ca_records.all(), key=lambda record: (not record.anchor, record.subject))
    shown = [record for record in records if record.state != CaState.WITHDRAWN]
    sources = [source for record in shown if record.state == CaState.RECOGNISED for source in _sources(record, at)]
    cas = [_ca(record, at) for record in shown]
    if provider.state != ProviderState.ENABLED:
        tone = ""
    else:
        tones = {ca.tone for ca in cas} | {source.tone for source in sources}
        tone = next((tone for tone in ("bad", "warn") if tone in tones), "good")
    return ProviderRow(provider, tone, cas, sources, counts)


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    counts = by_provider(at)
    providers = Provider.objects.prefetch_related("ca_records__revocation_sources").order_by("-state", "order", "code")
    rows = [provider_row(provider, counts.pop(provider.code, ProviderCount()), at) for provider in providers]
    rows.sort(key=lambda row: row.provider.state != ProviderState.ENABLED)
    return page(
        request,
        "console/dashboard.html",
        title="信任总览",
        rows=rows,
        unknown=counts.pop("", None),
        problems=current_problems(),
        totals=_totals(rows),
    )


def _totals(rows: list[ProviderRow]) -> list[tuple[str, int | str, str]]:
    """The figures on top: words, number, tone."""
    enabled = [row for row in rows if row.provider.state == ProviderState.ENABLED]
    sources = [source for row in enabled for source in row.sources]
    late = sum(source.tone != "good" for source in sources)
    logins, refused = sum(row.counts.logins_day for row in rows), sum(row.counts.refused_day for row in rows)
    anchors = sum(ca.record.anchor and ca.tone in ("good", "warn") for row in enabled for ca in row.cas)
    return [
        ("启用的服务商", f"{len(enabled)} / {len(rows)}", ""),
        ("信任锚", anchors, "" if anchors else "bad"),
        ("吊销来源异常", f"{late} / {len(sources)}", "warn" if late else "good"),
        ("24 小时 CA 登录", logins, ""),
        ("24 小时拒绝", refused, ""),
    ]
