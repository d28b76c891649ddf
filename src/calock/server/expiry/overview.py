"""When locks expire, counted by month: of the bindings that somebody sees, or of everybody's by provider."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMonth

from calock.server.locks.models import CURRENT, Binding, BindingQuerySet, LockCertificate
from calock.server.tools.times import local

MONTHS = 13
"""Months ahead that are shown, this one included."""


class Month(NamedTuple):
    """``text`` as addresses and pages write it, ``2026-11``; certificates end from ``start`` on and before ``end``."""

    text: str
    start: datetime
    end: datetime


def months_from(at: datetime) -> Iterator[Month]:
    """The current month and those that follow, in the server's time zone."""
    start = local(at).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(MONTHS):
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        yield Month(f"{start:%Y-%m}", start, end)
        start = end


def month_named(text: str, at: datetime) -> Month | None:
    return next((month for month in months_from(at) if month.text == text), None)


def ending_in(bindings: BindingQuerySet, month: Month) -> BindingQuerySet:
    """Those whose lock's current certificate ends in the month."""
    current = _current().filter(not_after__gte=month.start, not_after__lt=month.end)
    rows: BindingQuerySet = bindings.filter(lock__in=current.values("lock"))
    return rows


def by_month(bindings: BindingQuerySet, at: datetime) -> list[tuple[Month, int]]:
    """How many of these bindings' locks end in each month."""
    counted = _ending(_current().filter(lock__in=bindings.values("lock")), at)
    found = {f"{month:%Y-%m}": count for month, count in counted.values_list(TruncMonth("not_after")).annotate(count=Count("pk"))}
    return [(month, found.get(month.text, 0)) for month in months_from(at)]


class Wave(NamedTuple):
    """One provider's bound locks by the month in which they end, in the order of ``months_from``."""

    provider: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


def waves(at: datetime) -> list[Wave]:
    """Of all sites and organisations, the providers with most locks first."""
    bound = _current().filter(lock__in=Binding.objects.live().values("lock"))
    counted = _ending(bound, at).values_list("lock__provider__name", TruncMonth("not_after")).annotate(count=Count("pk"))
    found: dict[str, dict[str, int]] = {}
    for provider, start, count in counted:
        found.setdefault(provider, {})[f"{start:%Y-%m}"] = count
    months = [month.text for month in months_from(at)]
    rows = [Wave(provider, tuple(counts.get(month, 0) for month in months)) for provider, counts in found.items()]
    return sorted(rows, key=lambda row: (-row.total, row.provider))


def _current() -> QuerySet[LockCertificate]:
    return LockCertificate.objects.filter(CURRENT, revoked_at__isnull=True)


def _ending(certificates: QuerySet[LockCertificate], at: datetime) -> QuerySet[LockCertificate]:
    span = list(months_from(at))
    return certificates.filter(not_after__gte=span[0].start, not_after__lt=span[-1].end).order_by()
