"""How each source of revocation data stands: what an operator's page shows and what the background job warns of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from calock.core.policy import Policy, PolicyError
from calock.server.providers.models import RevocationSource, SourceKind
from calock.server.revocation import store

WARN_AT = 0.75
"""Part of a CRL's life after which its successor is overdue."""


class Health(StrEnum):
    """From best to worst."""

    GOOD = "good"
    NEVER = "never"  # nothing was fetched from it yet
    FAILING = "failing"  # the last attempt failed; what is held still counts
    AGEING = "ageing"  # past three quarters of its life
    EXPIRED = "expired"  # logins that need it are refused


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One source now."""

    source: RevocationSource
    health: Health
    used: float | None
    """Part of the time for which the CRL counts that is over, 0 to 1 and more; None when there is none."""
    left: timedelta | None
    """Until nextUpdate, or until the provider's age limit when that comes first."""


def health_of(source: RevocationSource, *, at: datetime) -> SourceHealth:
    """Judge one row; nothing is fetched."""
    if source.kind == SourceKind.OCSP or source.this_update is None or source.next_update is None:
        if source.last_error:
            return SourceHealth(source, Health.FAILING, None, None)
        return SourceHealth(source, Health.GOOD if source.last_ok_at else Health.NEVER, None, None)
    end = _end(source, source.this_update, source.next_update, at)
    left = end - at
    used = (at - source.this_update) / ((end - source.this_update) or timedelta(seconds=1))
    if left <= timedelta():
        health = Health.EXPIRED
    elif used >= WARN_AT:
        health = Health.AGEING
    else:
        health = Health.FAILING if source.last_error else Health.GOOD
    return SourceHealth(source, health, used, left)


def _end(source: RevocationSource, this_update: datetime, next_update: datetime, at: datetime) -> datetime:
    """Up to when logins may rest on the CRL: nextUpdate, or an earlier end by the rules. An anchor's CRL is about CAs."""
    ca = source.ca_record
    try:
        rules = Policy.from_json(ca.provider.rules).revocation
    except PolicyError:
        return next_update  # the dashboard says that the register is damaged
    limit = rules.ca_crl_max_age if ca.anchor else rules.crl_max_age
    emergency = rules.emergency_end(ca.spki_sha256)
    if limit is None or (emergency is not None and at < emergency):
        return next_update
    return min(next_update, this_update + timedelta(seconds=limit))


class HeldHere(StrEnum):
    """What this machine holds of the CRL that a row speaks of: the row is shared by all machines, the CRLs are not."""

    SAME = "same"
    OLDER = "older"
    NEWER = "newer"  # the row was put back behind the server's back
    NONE = "none"  # nothing, or nothing that can be read: logins here are refused, whatever other machines do


def held_here(source: RevocationSource) -> HeldHere | None:
    """Compare this machine's CRL of one source with the row; None for OCSP, which has no list to hold. Nothing is fetched."""
    if source.kind != SourceKind.CRL:
        return None
    known = store.usable(source.ca_record.spki_sha256, source.url)
    if known is None:
        return HeldHere.NONE
    held, index = known
    if held.sha256 == source.sha256:
        return HeldHere.SAME
    return HeldHere.OLDER if source.this_update is not None and index.this_update <= source.this_update else HeldHere.NEWER
