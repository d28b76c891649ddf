"""When to fetch which CRL: often where asking is cheap, always ahead of expiry, slower while a source fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import close_old_connections
from django.utils import timezone

from calock.server.providers.models import RevocationSource
from calock.server.providers.revocation_health import WARN_AT, Health, health_of
from calock.server.providers.revocation_refresh import Outcome, crl_sources, forget_removed_sources, refresh_crl
from calock.server.providers.trust import current_register

EVERY = 60.0
"""Seconds between two looks at a source: how long a revocation may take to get here (the promise is a minute)."""
SLOWEST = 900.0
"""Seconds between two attempts at a source that keeps failing; never more than EVERY once its CRL grows old."""
PER_MEGABYTE = 15.0
"""Seconds added for each MB that a source without ETag or Last-Modified makes us fetch again."""
WARN_EVERY = 600.0
AT_ONCE = 4

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Plan:
    due: float = 0.0
    failures: int = 0
    warned: float = float("-inf")
    running: Future[None] | None = None


def wait_after(outcome: Outcome, failures: int, *, at: datetime) -> float:
    """Seconds until the next attempt."""
    health = health_of(outcome.source, at=at)
    if outcome.ok:
        wait = EVERY if outcome.validators else min(SLOWEST, EVERY + PER_MEGABYTE * (outcome.size // 1_000_000))
    else:
        wait = min(SLOWEST, EVERY * 2 ** min(failures - 1, 10))
    if health.health in (Health.AGEING, Health.EXPIRED, Health.NEVER):
        return min(wait, EVERY)
    if health.left is not None and health.used is not None:
        life = health.left.total_seconds() / max(1e-6, 1 - health.used)
        until_ageing = health.left.total_seconds() - (1 - WARN_AT) * life
        wait = min(wait, max(1.0, until_ageing))
    return wait


class CrlSchedule:
    """What is due of this machine's CRL sources."""

    def __init__(
        self, refresh: Callable[[RevocationSource], Outcome] = refresh_crl, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._refresh = refresh
        self._clock = clock
        self._plans: dict[int, _Plan] = {}
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="crl")
        self._guard = threading.Lock()
        self._emergencies_warned = float("-inf")

    def tick(self) -> int:
        """Start what is due; how many. A source that is being fetched is left alone."""
        now = self._clock()
        self._warn_of_emergencies(now)
        sources = crl_sources()
        with self._guard:
            self._plans = {source.pk: self._plans.get(source.pk) or _Plan() for source in sources}
        forget_removed_sources()
        started = 0
        for source in sources:
            plan = self._plans[source.pk]
            self._warn(source, plan, now)
            if plan.due <= now and (plan.running is None or plan.running.done()):
                plan.running = self._pool.submit(self._run, source, plan)
                started += 1
        return started

    def wait(self) -> None:
        """Wait for what was started."""
        for plan in list(self._plans.values()):
            if plan.running is not None:
                plan.running.result()

    def _run(self, source: RevocationSource, plan: _Plan) -> None:
        close_old_connections()
        try:
            outcome = self._refresh(source)
        except Exception:
            plan.failures += 1
            plan.due = self._clock() + EVERY
            log.exception("crl_refresh_failed", url=source.url)
            return
        finally:
            close_old_connections()
        plan.failures = 0 if outcome.ok else plan.failures + 1
        fresh = RevocationSource.objects.filter(pk=source.pk).first() or source
        outcome = Outcome(fresh, outcome.changed, outcome.error, outcome.reason, outcome.size, outcome.entries, outcome.validators)
        plan.due = self._clock() + wait_after(outcome, plan.failures, at=timezone.now())

    def _warn_of_emergencies(self, now: float) -> None:
        """An operator's emergency is never silent: it is said again and again until it ends."""
        if now - self._emergencies_warned < WARN_EVERY:
            return
        self._emergencies_warned = now
        for provider in current_register().providers:
            for ca in provider.cas:
                end = provider.policy.revocation.emergency_end(ca.spki_sha256)
                if end is not None and timezone.now() < end:
                    log.error("revocation_emergency", provider=provider.code, ca=ca.spki_sha256, until=end.isoformat())

    def _warn(self, source: RevocationSource, plan: _Plan, now: float) -> None:
        found = health_of(source, at=timezone.now())
        if found.health in (Health.AGEING, Health.EXPIRED) and now - plan.warned >= WARN_EVERY:
            plan.warned = now
            log.error(
                "crl_growing_old" if found.health is Health.AGEING else "crl_expired",
                provider=source.ca_record.provider.code, url=source.url, next_update=str(source.next_update),
                last_error=source.last_error,
            )  # fmt: skip
