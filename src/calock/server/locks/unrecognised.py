"""What locks opened and proved whose CA is not recognised any more: withdrawn, suspended, or not for the session's site."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from calock.server.locks.models import LockCertificate
from calock.server.providers.enforcement import usable_records
from calock.server.providers.models import Provider
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions, forget_proofs


def unrecognised_sessions(provider: Provider) -> QuerySet[Session]:
    """Live sessions opened by locks of a CA of ``provider`` that nobody recognises on the session's site."""
    return _without_ground(provider, "lock")


def unrecognised_proofs(provider: Provider) -> QuerySet[Session]:
    """Live sessions, opened by whatever, in which such a lock proved its person."""
    return _without_ground(provider, "proved_lock")


def end_unrecognised_sessions(provider: Provider, at: datetime) -> int:
    """End the sessions now, and let the proofs count no longer; how many sessions there were."""
    with transaction.atomic():
        both = unrecognised_sessions(provider).values("pk").union(unrecognised_proofs(provider).values("pk"))
        keys = list(both.values_list("pk", flat=True))
        list(Session.objects.filter(pk__in=keys).select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
        count = end_sessions(unrecognised_sessions(provider), reason="ca not recognised", at=at)
        forget_proofs(unrecognised_proofs(provider))
    return count


def _without_ground(provider: Provider, lock: str) -> QuerySet[Session]:
    """Live sessions whose ``lock`` (a field) has a current certificate of a CA of ``provider`` that is not carried there.

    The CA may stand under other providers on other sites: each carries it where it is recognised.
    """
    current = LockCertificate.objects.filter(superseded_at__isnull=True)
    keys = provider.ca_records.values("spki_sha256")
    of_its_cas = current.filter(ca_record__spki_sha256__in=keys).values("lock")
    bare = Q(**{f"{lock}__provider": provider}) & ~Exists(current.filter(lock=OuterRef(lock)))
    sessions = Session.objects.filter(Q(**{f"{lock}__in": of_its_cas}) | bare, ended_at__isnull=True)
    for carrier in Provider.objects.filter(ca_records__spki_sha256__in=keys).distinct():
        usable = [record.spki_sha256 for record in usable_records(carrier)]
        carried = current.filter(ca_record__spki_sha256__in=usable).values("lock")
        sessions = sessions.exclude(**{f"{lock}__in": carried, "site__in": list(carrier.sites)})
    return sessions
