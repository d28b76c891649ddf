"""The trust dashboard: per provider its anchors, its revocation data, and who got in and who did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from calock.server.console.pages.common import page
from calock.server.console.statistics import ProviderCount, by_provider
from calock.server.console.trust_notices import (
    CaView,
    Notice,
    SourceState,
    ca_view,
    emergencies_of,
    notices_of,
    server_notices,
    source_state,
)
from calock.server.locks.models import Binding, LockCertificate
from calock.server.providers.models import CaState, Provider, ProviderState
from calock.server.providers.trust import Problem, current_problems


@dataclass(frozen=True, slots=True)
class ProviderRow:
    provider: Provider
    cas: list[CaView]
    sources: list[SourceState]
    notices: list[Notice]
    emergencies: int
    counts: ProviderCount

    @property
    def tone(self) -> str:
        """The worst of its notices; nothing for a provider that is stopped and sound."""
        tones = {notice.tone for notice in self.notices}
        return next((tone for tone in ("bad", "warn") if tone in tones), "good" if self.enabled else "")

    @property
    def enabled(self) -> bool:
        return self.provider.state == ProviderState.ENABLED

    @property
    def words(self) -> str:
        """What the tone says, for those who see no colours."""
        return {"bad": "异常", "warn": "需要处理"}.get(self.tone, "")


def provider_row(provider: Provider, counts: ProviderCount, problems: Sequence[Problem], at: datetime) -> ProviderRow:
    """One provider's card: withdrawn CA records are history and stay on its own page."""
    records = sorted(provider.ca_records.all(), key=lambda record: (not record.anchor, record.crl_signer, record.subject))
    shown = [record for record in records if record.state != CaState.WITHDRAWN]
    recognised = [record for record in shown if record.state == CaState.RECOGNISED]
    sources = [source_state(source, at) for record in recognised for source in record.revocation_sources.all()]
    cas = [ca_view(record, at) for record in shown]
    notices = notices_of(provider, cas=cas, sources=sources, problems=problems, at=at)
    running = len(emergencies_of(provider, at)) if provider.state == ProviderState.ENABLED else 0
    return ProviderRow(provider, cas, sources, notices, running, counts)


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    counts, problems = by_provider(at), current_problems()
    providers = Provider.objects.prefetch_related("ca_records__revocation_sources").order_by("order", "code")
    rows = [provider_row(provider, counts.pop(provider.code, ProviderCount()), problems, at) for provider in providers]
    rows.sort(key=lambda row: (not row.enabled, ("bad", "warn", "good", "").index(row.tone)))
    notices = server_notices(problems, at)
    return page(
        request,
        "console/dashboard.html",
        title="信任总览",
        rows=rows,
        unknown=counts.pop("", None),
        notices=notices,
        all_good=not notices and bool(rows) and not any(row.notices for row in rows),
        totals=_totals(rows),
    )


def bindings_without_holder() -> int:
    """Live bindings whose certificate says by no rule whose it is: no other lock of theirs is recognised as the same holder's."""
    nameless = LockCertificate.objects.filter(holder_hmac="", superseded_at__isnull=True)
    count: int = Binding.objects.filter(unbound_at__isnull=True, lock__in=nameless.values("lock")).count()
    return count


def _totals(rows: list[ProviderRow]) -> list[tuple[str, int | str, str]]:
    """The figures on top: words, number, tone."""
    enabled = [row for row in rows if row.enabled]
    sources = [source for row in enabled for source in row.sources]
    late = sum(source.tone in ("bad", "warn") for source in sources)
    expired = any(source.tone == "bad" for source in sources)
    logins, refused = sum(row.counts.logins_day for row in rows), sum(row.counts.refused_day for row in rows)
    anchors = sum(ca.record.anchor and ca.tone in ("good", "warn") for row in enabled for ca in row.cas)
    emergencies = sum(row.emergencies for row in enabled)
    nameless = bindings_without_holder()
    return [
        ("启用的服务商", f"{len(enabled)} / {len(rows)}", ""),
        ("信任锚", anchors, "" if anchors else "bad"),
        ("吊销来源异常", f"{late} / {len(sources)}", "bad" if expired else "warn" if late else "good"),
        *([("紧急放宽中", emergencies, "bad")] if emergencies else []),
        *([("绑定的证书不含持有人标识", nameless, "warn")] if nameless else []),
        ("24 小时 CA 登录", logins, ""),
        ("24 小时拒绝", refused, ""),
    ]
