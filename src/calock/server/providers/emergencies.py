"""The emergency mode of a CA that stopped publishing: bounded, for that CA, decided by two operators, shown until it ends.

It lifts the age limits of what that CA has published; nothing lifts the data's own nextUpdate (``core.revocation``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from calock.core.policy import Policy, PolicyError
from calock.core.refusals import Reason, Refusal
from calock.server.providers.models import CaRecord, CaState, Provider

LONGEST = timedelta(hours=72)
"""From the proposal to the end: long enough for a weekend, too short to become a habit."""
CHOICES = (6, 12, 24, 48, 72)
"""Hours that the provider's page offers."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """One that runs."""

    record: CaRecord
    end: datetime

    def __str__(self) -> str:
        return f"{self.record.spki_sha256}:{self.end.isoformat()}"


def running(provider: Provider, *, at: datetime, rules: object = None) -> list[Emergency]:
    """Emergencies of a provider's CAs that have not ended, the longest first; by ``rules`` rather than its own when given."""
    try:
        revocation = Policy.from_json(provider.rules if rules is None else rules).revocation
    except (PolicyError, OverflowError):
        return []
    ends = ((record, revocation.emergency_end(record.spki_sha256)) for record in provider.ca_records.all())
    found = [Emergency(record, end) for record, end in ends if end is not None and end > at]
    return sorted(found, key=lambda item: (-item.end.timestamp(), item.record.subject))


def require_bounded(rules: object, keys: Collection[str], *, since: datetime) -> None:
    """Check what rules say of emergencies. ``keys``: the provider's CA keys; ``since``: when it was proposed.

    Raises:
        Refusal: PROVIDER_RULES_REFUSED: one names another CA, or ends later than 72 hours after its proposal.
    """
    revocation = Policy.from_json(rules).revocation
    latest = min(since, timezone.now()) + LONGEST
    for text in revocation.emergencies:
        key = text.partition(":")[0]
        if key not in keys:
            raise Refusal(Reason.PROVIDER_RULES_REFUSED, f"emergencies: {key[:16]}… 不是该服务商已登记的 CA")
        end = revocation.emergency_end(key)
        if end is not None and end > latest:
            hours = int(LONGEST.total_seconds() // 3600)
            raise Refusal(Reason.PROVIDER_RULES_REFUSED, f"emergencies: 截止时间最迟为提出后 {hours} 小时（{key[:16]}…）")


def own_keys(provider: Provider) -> set[str]:
    """Keys of its CAs that were decided about."""
    return set(provider.ca_records.exclude(state=CaState.PENDING).values_list("spki_sha256", flat=True))
