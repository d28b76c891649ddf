"""Which sessions still stand on a CA that is recognised, and the end of those that do not."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from calock.server.locks.models import LockCertificate
from calock.server.providers.certificates import issued_by
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions


def usable_records(provider: Provider) -> list[CaRecord]:
    """Recognised records of an enabled provider that lead to one of its recognised anchors."""
    if provider.state != ProviderState.ENABLED:
        return []
    waiting = list(CaRecord.objects.filter(provider=provider, state=CaState.RECOGNISED))
    usable = [record for record in waiting if record.anchor]
    waiting = [record for record in waiting if not record.anchor]
    found = True
    while found:
        found = False
        for record in list(waiting):
            if any(issued_by(bytes(record.certificate), bytes(above.certificate)) for above in usable):
                usable.append(record)
                waiting.remove(record)
                found = True
    return usable


def sessions_without_ground(provider: Provider) -> QuerySet[Session]:
    """Live sessions opened by locks of ``provider`` that it no longer carries: CA out of use, suspended, other site."""
    sessions = Session.objects.filter(lock__provider=provider, ended_at__isnull=True)
    usable = usable_records(provider)
    if not usable:
        return sessions
    carried = LockCertificate.objects.filter(ca_record__in=usable, superseded_at__isnull=True).values("lock")
    return sessions.exclude(lock__in=carried, site__in=list(provider.sites))


def end_sessions_without_ground(provider: Provider, *, at: datetime) -> int:
    """End them now; how many there were."""
    return end_sessions(sessions_without_ground(provider), reason="ca not recognised", at=at)
