"""Live sessions opened by locks whose CA is not recognised any more: withdrawn, suspended, or not for this site."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from calock.server.locks.models import LockCertificate
from calock.server.providers.enforcement import usable_records
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions


def unrecognised_sessions(provider: Provider) -> QuerySet[Session]:
    """Live sessions opened by locks of ``provider`` that none of its recognised CAs carries on the session's site."""
    sessions = Session.objects.filter(lock__provider=provider, ended_at__isnull=True)
    usable = usable_records(provider)
    if not usable:
        return sessions
    carried = LockCertificate.objects.filter(ca_record__in=usable, superseded_at__isnull=True).values("lock")
    return sessions.exclude(lock__in=carried, site__in=list(provider.sites))


def end_unrecognised_sessions(provider: Provider, at: datetime) -> int:
    """End them now; how many there were."""
    return end_sessions(unrecognised_sessions(provider), reason="ca not recognised", at=at)
