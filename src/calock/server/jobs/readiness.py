"""Whether this machine would do all of its work now: the lines of ``/readyz``, one for each problem, none when all is well.

A stranger may read them, so they name jobs and kinds of trouble, no addresses, accounts or errors' own words.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Refusal
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.audit.outside.delivery import standings
from calock.server.audit.sealing_keys import known_keys
from calock.server.audit.tree import own_key
from calock.server.jobs import sealed_rows
from calock.server.jobs.health import WARNING
from calock.server.jobs.health import problems as job_problems
from calock.server.locks.rekeying import foreign_keys
from calock.server.locks.row_seals import damaged_operators
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import LOOK_EVERY, current_evidence
from calock.server.revocation.refresh import crl_sources
from calock.server.tools import clock
from calock.server.web import client_address

KEPT = 1.0
"""Seconds for which an answer is given again: a damaged register is read anew at each look, and anybody may ask."""
BLIND = "revocation: this machine"
JUST_COME = "revocation: the CRLs have just come, and other processes may not have seen them"
UNSEALED = timedelta(minutes=5)
"""Age of an audit row that should have been sealed long ago: the job seals every minute."""
FREE = 200 * 1024 * 1024
"""Bytes that must be free where the data lie: CRLs and audit heads are written there all the time."""


def readiness() -> Callable[[], list[str]]:
    """A function that says what is wrong with this machine; it looks anew after KEPT seconds.

    Each process judges for itself, and looks at the machine's CRLs once in LOOK_EVERY seconds: only when this one has had them for
    so long has every other one, too.
    """
    lines: list[str] = []
    until = float("-inf")
    judging_since = float("inf")

    def look() -> list[str]:
        nonlocal lines, until, judging_since
        now = time.monotonic()
        if now >= until:
            close_old_connections()  # no request's end does it for this thread
            lines = problems()
            blind = any(line.startswith(BLIND) for line in lines)
            judging_since = float("inf") if blind else min(judging_since, now)
            until = now + KEPT
        return lines if now - judging_since >= LOOK_EVERY or lines else [JUST_COME]

    return look


def problems(*, at: datetime | None = None) -> list[str]:
    """Every problem of this machine now."""
    at = at or timezone.now()
    found = [problem.line for problem in job_problems(at=at)]
    try:
        current_register()
        if damaged_operators():
            found.append("operators: a row is not as it was sealed")
        if foreign_keys():
            found.append("keys: certificates are sealed with a secret that this machine does not have")
        found += [*_clock(), *_revocation(at), *_audit(at)]
    except Refusal:
        found.append("register: damaged")
    except DatabaseError:
        found.append("database: no answer")
    return [*found, *_disk(), *client_address.watch.lines(), *_warnings()]


def _warnings() -> Iterable[str]:
    """What somebody must look at, although this machine does all of its work."""
    away = sum(bool(place.away_since) for place in standings().values())
    if away:
        yield f"{WARNING}audit: heads do not arrive at {away} of {len(settings.CALOCK.heads_places)} places outside"
    if damaged_rows := sealed_rows.found():
        yield f"{WARNING}rows: {len(damaged_rows)} of accounts, bindings or locks are not as they were sealed"


def _clock() -> Iterable[str]:
    if abs(clock.difference()) > clock.TOLERANCE:
        yield f"clock: differs from the database's by more than {clock.TOLERANCE.total_seconds():.0f} s"


def _revocation(at: datetime) -> Iterable[str]:
    """Whether the locks of each CA with CRLs would be judged here. The rows of sources are shared by all machines, CRLs are not.

    A CA whose CRL no machine has got is the trouble of its source, not of this machine: the console and the log say that.
    """
    sources = crl_sources()
    evidence = current_evidence()
    parsed = {ca.spki_sha256: Certificate.parse(ca.der) for provider in current_register().providers for ca in provider.cas}
    judged = {
        key
        for key in {source.ca_record.spki_sha256 for source in sources}
        if key in parsed and any(offer.crl.next_update >= at for offer in evidence.crls_for(parsed[key]))
    }
    current = {source.ca_record.spki_sha256 for source in sources if source.next_update is not None and source.next_update >= at}
    if sources and not judged:
        yield f"{BLIND} has no current CRL, so no lock can log in here"
    elif current - judged:
        yield f"{BLIND} lacks the current CRLs of {len(current - judged)} CAs"


def _audit(at: datetime) -> Iterable[str]:
    sealed = AuditSeal.objects.order_by("-seq").values_list("last_id", flat=True).first() or 0
    oldest = AuditEvent.objects.filter(pk__gt=sealed).order_by("pk").values_list("at", flat=True).first()
    if oldest is not None and at - oldest > UNSEALED:
        yield f"audit: rows have waited for their seal for more than {UNSEALED.total_seconds() / 60:.0f} minutes"
        if own_key(settings.CALOCK.data) not in known_keys():
            yield "audit: the trail does not know this machine's sealing key"


def _disk() -> Iterable[str]:
    if shutil.disk_usage(settings.CALOCK.data).free < FREE:
        yield f"disk: less than {FREE // 1024 // 1024} MB free where the data lie"
