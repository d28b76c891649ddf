"""What still stands on a recognised CA, and the end of what does not: providers without an anchor, sessions without ground."""

from __future__ import annotations

from datetime import datetime
from typing import Any

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
    waiting = list(CaRecord.objects.filter(provider=provider, state=CaState.RECOGNISED, crl_signer=False))
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


def has_anchor(provider: Provider) -> bool:
    """Whether it has a recognised anchor."""
    return provider.ca_records.filter(anchor=True, state=CaState.RECOGNISED).exists()


def settle(provider: Provider, at: datetime) -> dict[str, Any]:
    """Nothing stays standing on what is gone: a provider without an anchor is suspended, and sessions without ground end.

    To be called after every change of a CA record or of a provider's state and sites. What it did, for the audit row.
    """
    suspended = provider.state == ProviderState.ENABLED and not has_anchor(provider)
    if suspended:
        provider.state = ProviderState.SUSPENDED
        provider.save()
    return {"sessions_ended": end_sessions_without_ground(provider, at=at), "provider_suspended": suspended}
