"""When to fetch which CRL: every half minute where asking is cheap, always ahead of expiry, slower while a source fails.

Asking is cheap when the source says by ETag or Last-Modified that nothing changed, and when it does not: then the first octets of
the body are compared with those of the CRL held, and the rest is not read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog
from django.utils import timezone

from calock.server.jobs.lanes import Lanes
from calock.server.providers.models import RevocationSource
from calock.server.providers.trust import current_register
from calock.server.revocation.health import WARN_AT, Health, health_of
from calock.server.revocation.refresh import Outcome, crl_sources, forget_removed_sources, refresh_crl

EVERY = 30.0
"""Seconds between two looks at a source: with the next tick and the next sweep this makes the promised minute."""
SLOWEST = 120.0
"""Seconds between two attempts at a source that keeps failing; never more than EVERY once its CRL grows old."""
WHOLE_EVERY = 900.0
"""Seconds after which a body is read whole although it begins as the CRL held."""
WARN_EVERY = 600.0
AT_ONCE, FAILING_AT_ONCE, OF_ONE_PROVIDER = 12, 8, 4
"""Fetches at a time: of sources that worked the last time, of those that did not, and of each of these for one provider.

A source that lets us wait must not keep others waiting: not those of other providers, and after one attempt not its provider's.
"""

log = structlog.get_logger(__name__)


class Refresh(Protocol):
    """Fetches one CRL: ``refresh_crl``, and what tests put in its place."""

    def __call__(self, source: RevocationSource, *, peek: bool) -> Outcome: ...


@dataclass(slots=True)
class _Plan:
    due: float = 0.0
    failures: int = 0
    whole_at: float = float("-inf")
    """When it was last read whole."""
    warned: float = float("-inf")
    running: Future[None] | None = None


def wait_after(outcome: Outcome, failures: int, *, at: datetime) -> float:
    """Seconds from the beginning of one attempt to the next."""
    health = health_of(outcome.source, at=at)
    wait = EVERY if outcome.ok else min(SLOWEST, EVERY * 2 ** min(failures - 1, 10))
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
        self,
        refresh: Refresh = refresh_crl,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        """``changed`` is called when a CRL counts that did not before."""
        self._refresh = refresh
        self._clock = clock
        self._changed = changed
        self._plans: dict[int, _Plan] = {}
        self._working = Lanes("crl", at_once=AT_ONCE, of_one=OF_ONE_PROVIDER)
        self._failing = Lanes("crl-failing", at_once=FAILING_AT_ONCE, of_one=OF_ONE_PROVIDER)
        self._emergencies_warned = float("-inf")

    def tick(self) -> int:
        """Start what is due; how many. A source that is being fetched is left alone."""
        now = self._clock()
        self._warn_of_emergencies(now)
        sources = crl_sources()
        self._plans = {source.pk: self._plans.get(source.pk) or _Plan() for source in sources}
        started = 0
        for source in sources:
            plan = self._plans[source.pk]
            self._warn(source, plan, now)
            if plan.due <= now and (plan.running is None or plan.running.done()):
                lanes = self._failing if plan.failures or source.last_error else self._working
                plan.running = lanes.put(source.ca_record.provider.code, partial(self._run, source, plan))
                started += 1
        forget_removed_sources()  # last: a disk that takes nothing fails this, and must not keep CRLs from being fetched
        return started

    def wait(self) -> None:
        """Wait for what was started."""
        for plan in list(self._plans.values()):
            if plan.running is not None:
                plan.running.result()

    def _run(self, source: RevocationSource, plan: _Plan) -> None:
        started = self._clock()
        wait = EVERY
        try:
            outcome = self._refresh(source, peek=started - plan.whole_at < WHOLE_EVERY)
            plan.failures = 0 if outcome.ok else plan.failures + 1
            if outcome.ok and outcome.whole:
                plan.whole_at = started
            if outcome.changed:
                self._changed()
            row = RevocationSource.objects.filter(pk=source.pk).first() or source
            fresh = Outcome(row, error=outcome.error)
            wait = wait_after(fresh, plan.failures, at=timezone.now())
        except Exception:  # the database, or a fault of ours: the next attempt must come whatever this one met
            plan.failures += 1
            log.exception("crl_refresh_failed", url=source.url)
        finally:
            took = self._clock() - started
            plan.due = started + max(wait, 2 * took)  # what takes long leaves the others half of the time

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
