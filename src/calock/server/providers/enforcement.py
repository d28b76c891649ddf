"""What follows from a change of the register: a provider without an anchor is suspended, and what depends on its CAs is ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from calock.server.providers.certificates import issued_by
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.shared_keys import require_own_on_each_site

EndDependents = Callable[[Provider, datetime], int]
"""Ends what a provider's CAs no longer carry, inside the transaction of the change; how many there were."""
_dependents: list[EndDependents] = []


def register_dependents(end: EndDependents) -> None:
    """Name, at start-up, what a room keeps that depends on recognised CAs."""
    if end not in _dependents:
        _dependents.append(end)


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


def has_anchor(provider: Provider) -> bool:
    """Whether it has a recognised anchor."""
    return provider.ca_records.filter(anchor=True, state=CaState.RECOGNISED).exists()


def enforce(provider: Provider, at: datetime) -> dict[str, Any]:
    """Suspend ``provider`` when it has no anchor left, and end what its CAs no longer carry. What was done, for the audit row.

    To be called after every change of a CA record or of a provider's state and sites.

    Raises:
        Refusal: CA_KEY_KNOWN, as ``require_own_on_each_site``: the change must not be kept.
    """
    require_own_on_each_site(provider)
    suspended = provider.state == ProviderState.ENABLED and not has_anchor(provider)
    if suspended:
        provider.state = ProviderState.SUSPENDED
        provider.save()
    return {"sessions_ended": sum(end(provider, at) for end in _dependents), "provider_suspended": suspended}
