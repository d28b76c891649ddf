"""Logins and refusals counted from the audit rows: nothing is counted twice, and nothing that was not audited is shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.web.refusal_texts import ENTRIES

DAY, WEEK = timedelta(days=1), timedelta(days=7)

_BROWSERS = (
    ("Edge", re.compile(r"\bEdg/(\d+)")),
    ("360", re.compile(r"\bQihooBrowser/(\d+)|\b360SE\b")),
    ("Firefox", re.compile(r"\bFirefox/(\d+)")),
    ("Chrome", re.compile(r"\bChrom(?:e|ium)/(\d+)")),
    ("Safari", re.compile(r"\bVersion/(\d+)[\d.]* .*Safari/")),
)


def browser_of(user_agent: str) -> str:
    """Name and major version as people say them; ``其他`` for what is none of the common ones."""
    for name, pattern in _BROWSERS:
        found = pattern.search(user_agent)
        if found:
            return f"{name} {found.group(1) or ''}".strip()
    return "其他"


_EITHER = {Reason.STEP_UP_FAILED.value: "未能确认是本人：登录密码不正确，或 CA 锁不是这个账户的、不是要恢复使用的那一把"}
"""Reasons whose sentence depends on facts that no row keeps."""


def reason_text(reason: str) -> str:
    """The sentence people read for a reason, without facts."""
    if reason in _EITHER:
        return _EITHER[reason]
    try:
        words = ENTRIES[Reason(reason)].words
    except (KeyError, ValueError):
        return reason
    return words.plain_zh or words.zh


@dataclass(slots=True)
class ReasonCount:
    """One reason, how often in the last 24 hours and 7 days."""

    reason: str
    words: str
    day: int = 0
    week: int = 0


@dataclass(slots=True)
class ProviderCount:
    """CA logins of one provider in the last 24 hours and 7 days, and why others were refused."""

    logins_day: int = 0
    logins_week: int = 0
    refused_day: int = 0
    refused_week: int = 0
    reasons: dict[str, ReasonCount] = field(default_factory=dict)

    @property
    def top(self) -> list[ReasonCount]:
        return sorted(self.reasons.values(), key=lambda item: (-item.week, item.reason))

    def add(self, event: str, reason: str, day: int, week: int) -> None:
        if event == Event.LOGIN_CA_SUCCEEDED:
            self.logins_day += day
            self.logins_week += week
            return
        self.refused_day += day
        self.refused_week += week
        count = self.reasons.setdefault(reason, ReasonCount(reason, reason_text(reason)))
        count.day += day
        count.week += week


def _grouped(rows: QuerySet[AuditEvent], *columns: str) -> Iterable[dict[str, str | int]]:
    grouped: Iterable[dict[str, str | int]] = rows.order_by().values(*columns).annotate(count=Count("id"))
    return grouped


def by_provider(at: datetime) -> dict[str, ProviderCount]:
    """CA logins by the code of the provider whose CA issued the certificate; empty where that was not proved.

    The provider chosen on the page is a value that the client sent; it is kept in the rows' details and not counted here.
    """
    events = [Event.LOGIN_CA_SUCCEEDED.value, Event.LOGIN_CA_REFUSED.value]
    rows = AuditEvent.objects.filter(event__in=events, at__gt=at - WEEK)
    found: dict[str, ProviderCount] = {}
    for since, kind in ((rows.filter(at__gt=at - DAY), "day"), (rows, "week")):
        for row in _grouped(since, "provider", "event", "reason"):
            count = {"day": 0, "week": 0, kind: int(row["count"])}
            found.setdefault(str(row["provider"]), ProviderCount()).add(str(row["event"]), str(row["reason"]), **count)
    return found


@dataclass(frozen=True, slots=True)
class Failures:
    """Refusals of a period: by reason, by browser, by provider; and how many there were of how many attempts."""

    attempts: int
    refused: int
    reasons: list[tuple[str, str, int]]
    browsers: list[tuple[str, int, int]]
    providers: list[tuple[str, int]]


ATTEMPTS = (
    Event.LOGIN_CA_SUCCEEDED, Event.LOGIN_CA_REFUSED, Event.LOGIN_PASSWORD_SUCCEEDED, Event.LOGIN_PASSWORD_REFUSED,
    Event.BINDING_ADDED, Event.BINDING_REFUSED, Event.BINDING_ENDED, Event.BINDING_END_REFUSED,
)  # fmt: skip


def failures_since(since: datetime) -> Failures:
    """What was tried and refused since a moment: logins by lock and by password, binding and unbinding."""
    rows = AuditEvent.objects.filter(event__in=[event.value for event in ATTEMPTS], at__gt=since)
    refused = rows.exclude(reason="")
    reasons = Counter({str(row["reason"]): int(row["count"]) for row in _grouped(refused, "reason")})
    providers = Counter({str(row["provider"]): int(row["count"]) for row in _grouped(refused, "provider")})
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for chosen, counter in ((rows, tried), (refused, failed)):
        for row in _grouped(chosen, "user_agent"):
            counter[browser_of(str(row["user_agent"]))] += int(row["count"])
    return Failures(
        attempts=sum(tried.values()),
        refused=sum(failed.values()),
        reasons=[(reason, reason_text(reason), count) for reason, count in reasons.most_common()],
        browsers=[(name, failed[name], count) for name, count in tried.most_common()],
        providers=providers.most_common(),
    )
