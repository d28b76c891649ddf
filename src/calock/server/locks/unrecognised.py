"""What locks opened and proved whose CA is not recognised any more: withdrawn, suspended, or not for the session's site."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from calock.server.locks.models import LockCertificate
from calock.server.providers.enforcement import usable_records
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions, forget_proofs


def unrecognised(provider: Provider) -> QuerySet[Session]:
    """Live sessions that a lock of a CA of ``provider`` opened, or proved its person in, and nobody recognises that CA there."""
    opened, proved = _without_ground(provider)
    return Session.objects.filter(opened | proved, ended_at__isnull=True)


def end_unrecognised_sessions(provider: Provider, at: datetime) -> int:
    """End the sessions that such a lock opened, and let its proofs in others count no longer; how many sessions there were."""
    opened, proved = _without_ground(provider)
    live = Session.objects.filter(ended_at__isnull=True)
    with transaction.atomic():
        if not list(live.filter(opened | proved).select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True)):
            return 0
        count = end_sessions(live.filter(opened), reason="ca not recognised", at=at)
        forget_proofs(live.filter(proved))
    return count


def _without_ground(provider: Provider) -> tuple[Q, Q]:
    """Sessions opened by, and sessions that hold a proof by, a lock of a CA of ``provider`` that is not carried on their site.

    The CA may stand under other providers on other sites: each carries it where it is recognised.
    """
    current = LockCertificate.objects.filter(superseded_at__isnull=True)
    keys = provider.ca_records.values("spki_sha256")
    of_its_cas = current.filter(ca_record__spki_sha256__in=keys).values("lock")
    opened, proved = Q(lock__in=of_its_cas), Q(proved_lock__in=of_its_cas)
    for carrier in Provider.objects.filter(ca_records__spki_sha256__in=keys).distinct():
        usable = [record.spki_sha256 for record in usable_records(carrier)]
        carried = current.filter(ca_record__spki_sha256__in=usable).values("lock")
        opened &= ~Q(lock__in=carried, site__in=list(carrier.sites))
        proved &= ~Q(proved_lock__in=carried, site__in=list(carrier.sites))
    return opened, proved
