"""Every job of a machine, and how often it runs."""

from __future__ import annotations

from django.utils import timezone

from calock.server.audit.sealing import seal_audit
from calock.server.challenges.services import sweep_spent_challenges
from calock.server.jobs.crls import CrlSchedule
from calock.server.jobs.runner import Job
from calock.server.jobs.sessions import renew_ocsp, sweep_sessions
from calock.server.providers import ocsp_cache


def _spent_challenges() -> int:
    return sweep_spent_challenges(at=timezone.now())


def _seal() -> int:
    return seal_audit(at=timezone.now())


def _ocsp_files() -> int:
    return ocsp_cache.sweep(at=timezone.now())


def all_jobs() -> list[Job]:
    """Build them anew: schedules keep state."""
    crls = CrlSchedule()
    return [
        Job("crl", 5.0, crls.tick, crls.wait),
        Job("sessions", 20.0, sweep_sessions),
        Job("ocsp", 60.0, renew_ocsp),
        Job("spent-challenges", 60.0, _spent_challenges),
        Job("audit-seal", 60.0, _seal),
        Job("ocsp-files", 3600.0, _ocsp_files),
    ]
