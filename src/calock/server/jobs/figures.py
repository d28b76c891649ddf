"""What Prometheus is told beside counters: ages, room, and what waits. Looked at when it asks, at most every KEPT seconds.

What lies in the database is the same on all machines of a platform (take ``max``); files, clock and jobs are this machine's.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from calock import __version__
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.jobs.health import WARNING, State, read_states
from calock.server.jobs.readiness import problems
from calock.server.outbox.models import Message
from calock.server.providers.models import CaRecord, CaState, RevocationSource, SourceKind
from calock.server.providers.register_audit import revision
from calock.server.sessions.models import Session
from calock.server.tools import clock

KEPT = 10.0
"""Seconds for which what was looked up is told again: several Prometheus servers ask one machine."""
PARTS = ("jobs", "job", "register", "operators", "keys", "database", "clock", "revocation", "audit", "disk", "addresses", "rows")
"""What the lines of ``/readyz`` begin with."""

Family = GaugeMetricFamily | InfoMetricFamily


class StateCollector(Collector):
    """Every family is looked at by itself: a database that is away takes none of the others with it."""

    def __init__(self) -> None:
        self._until = float("-inf")
        self._found: list[Family] = []

    def collect(self) -> Iterable[Family]:
        if time.monotonic() >= self._until:
            close_old_connections()
            self._found = list(families(timezone.now()))
            self._until = time.monotonic() + KEPT
        return self._found


def families(at: datetime) -> Iterable[Family]:
    """Everything that is looked at, at this moment; without a database what needs none."""
    yield InfoMetricFamily("calock_build", "Which calock this is", {"version": __version__})
    yield from _machine(at)
    started = time.monotonic()
    try:
        found = [family for look in _IN_THE_DATABASE for family in look(at)]
    except DatabaseError:
        yield GaugeMetricFamily("calock_database_up", "Whether the database answered", 0)
        return
    yield GaugeMetricFamily("calock_database_up", "Whether the database answered", 1)
    yield GaugeMetricFamily("calock_database_seconds", "What looking it all up there took", time.monotonic() - started)
    yield from found


def _gauge(name: str, says: str, label: str, values: Iterable[tuple[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, says, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def _machine(at: datetime) -> Iterable[Family]:
    lines = [line.removeprefix(WARNING) for line in problems(at=at)]
    counts = {part: sum(line.partition(":")[0].split()[0] == part for line in lines) for part in PARTS}
    yield _gauge("calock_problems", "Lines of /readyz, by what they begin with", "part", counts.items())
    disk = shutil.disk_usage(settings.CALOCK.data)
    yield GaugeMetricFamily("calock_disk_free_bytes", "Room where the data lie", disk.free)
    yield GaugeMetricFamily("calock_disk_size_bytes", "Size of the disk where the data lie", disk.total)
    states = _states()
    started = ((name, datetime.fromisoformat(state.last_started).timestamp()) for name, state in states if state.last_started)
    yield _gauge("calock_job_started_timestamp_seconds", "When a job of this machine began its last run", "job", started)
    yield _gauge("calock_job_every_seconds", "How often a job runs", "job", ((name, state.every) for name, state in states))
    yield _gauge("calock_job_failing", "Whether its last run failed", "job", ((name, bool(s.last_error)) for name, s in states))


def _states() -> list[tuple[str, State]]:
    try:
        return list(read_states().items())
    except (OSError, msgspec.MsgspecError):
        return []  # ``problems`` has the line


def _clock(_at: datetime) -> Iterable[Family]:
    ahead = clock.difference().total_seconds()
    yield GaugeMetricFamily("calock_clock_ahead_seconds", "How far this machine's clock is ahead of the database's", ahead)


def _name(record: CaRecord) -> str:
    """Its provider, and the beginning of its key's hash: a provider has several."""
    return f"{record.provider.code}/{record.spki_sha256[:8]}"


def _certificates(at: datetime) -> Iterable[Family]:
    records = CaRecord.objects.filter(state=CaState.RECOGNISED).select_related("provider")
    left = [(_name(record), (record.not_after - at).total_seconds()) for record in records]
    yield _gauge("calock_ca_expires_in_seconds", "Until a recognised CA certificate ends", "ca", left)
    yield GaugeMetricFamily("calock_register_revision", "Changes of the trust register so far", revision())


def _revocation(at: datetime) -> Iterable[Family]:
    sources = list(RevocationSource.objects.filter(ca_record__state=CaState.RECOGNISED).select_related("ca_record__provider"))
    crls = [(_name(source.ca_record), source) for source in sources if source.kind == SourceKind.CRL]
    ages: dict[str, float] = {}
    left: dict[str, float] = {}
    for name, source in crls:  # of several sources of one CA the best counts
        if source.this_update and source.next_update:
            ages[name] = min(ages.get(name, float("inf")), (at - source.this_update).total_seconds())
            left[name] = max(left.get(name, float("-inf")), (source.next_update - at).total_seconds())
    yield _gauge("calock_crl_age_seconds", "Since the newest CRL of a CA was issued", "ca", ages.items())
    yield _gauge("calock_crl_expires_in_seconds", "Until the newest CRL of a CA ends", "ca", left.items())
    failing: dict[str, int] = dict.fromkeys((_name(source.ca_record) for source in sources), 0)
    for source in sources:
        failing[_name(source.ca_record)] += bool(source.last_error)
    yield _gauge("calock_revocation_sources_failing", "Addresses of a CA whose last fetch failed", "ca", failing.items())


def _sessions(_at: datetime) -> Iterable[Family]:
    live = Session.objects.filter(ended_at=None, expires_at__gt=clock.now()).count()
    yield GaugeMetricFamily("calock_sessions_live", "Sessions that are neither ended nor expired", live)


def _audit(at: datetime) -> Iterable[Family]:
    sealed = AuditSeal.objects.order_by("-seq").values_list("last_id", flat=True).first() or 0
    rows = AuditEvent.objects.filter(pk__gt=sealed).aggregate(count=Count("pk"), oldest=Min("at"))
    yield GaugeMetricFamily("calock_audit_unsealed_rows", "Audit rows that wait for their seal", rows["count"])
    yield GaugeMetricFamily("calock_audit_unsealed_oldest_seconds", "Age of the oldest of them", _age(rows["oldest"], at))


def _outbox(at: datetime) -> Iterable[Family]:
    due = Message.objects.due(at).aggregate(count=Count("pk"), oldest=Min("due_at"))
    yield GaugeMetricFamily("calock_outbox_waiting", "Messages whose time to be sent has come", due["count"])
    yield GaugeMetricFamily("calock_outbox_oldest_seconds", "For how long the oldest of them has waited", _age(due["oldest"], at))
    yield GaugeMetricFamily("calock_outbox_given_up", "Messages that were given up", Message.objects.failed().count())


def _age(since: datetime | None, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds()) if since else 0.0


_IN_THE_DATABASE: tuple[Callable[[datetime], Iterable[Family]], ...] = (
    _clock, _certificates, _revocation, _sessions, _audit, _outbox,
)  # fmt: skip
