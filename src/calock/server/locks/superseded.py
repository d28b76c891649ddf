"""Locks that a holder's next lock took the place of, unasked: an earlier version did it where a CA's id named the holder.

Nothing tells such a lock from a renewal with a new key but its person, so they are named, and given back one by one.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.holder import key_identity
from calock.server.locks.models import Binding, Lock, LockCertificate, LockKey
from calock.server.locks.operator_seals import require_intact, seal_binding
from calock.server.locks.versions import take_turn

SINCE = ("locks", "0008_lock_is_its_key")
"""The migration with which a lock became its key, and its person is asked."""


def asked_since() -> datetime | None:
    """When this database came to a version that asks."""
    app, name = SINCE
    rows = MigrationRecorder.Migration.objects.filter(app=app, name=name)
    found: datetime | None = rows.values_list("applied", flat=True).order_by("-applied").first()
    return found


def superseded_while_good(before: datetime) -> QuerySet[LockCertificate]:
    """Certificates that one over another key took the place of, unasked, while they were in their dates and not revoked."""
    successor = LockCertificate.objects.filter(supersedes=OuterRef("pk"), lock=OuterRef("lock")).exclude(
        spki_sha256=OuterRef("spki_sha256")
    )
    rows = LockCertificate.objects.filter(superseded_at__lt=F("not_after"), revoked_at=None)
    return rows.filter(Exists(successor), superseded_at__lt=before).select_related("lock__provider").order_by("superseded_at", "pk")


def binding_then(certificate: LockCertificate) -> Binding | None:
    """Whose lock it was when the other took its place."""
    rows = Binding.objects.filter(lock=certificate.lock, bound_at__lte=certificate.superseded_at).select_related(
        "account__organisation"
    )
    found: Binding | None = rows.order_by("-bound_at").first()
    return found


def give_back(cert_sha256: str) -> Lock:
    """Make a superseded certificate's key a lock of its own again, not bound: its person binds it, by their proof.

    Raises:
        Refusal: NOT_FOUND for a certificate that ``superseded_while_good`` does not name; OPERATOR_DAMAGED.
    """
    with transaction.atomic():
        row = superseded_while_good(timezone.now()).filter(cert_sha256=cert_sha256).first()
        if row is None:
            raise Refusal(Reason.NOT_FOUND, f"no certificate {cert_sha256} was superseded while it was good")
        former: Lock = row.lock
        take_turn(former)
        live = Binding.objects.live().select_related("account").filter(lock=former).first()
        if live is not None:
            require_intact(live)
        lock = Lock.objects.create(provider=former.provider, lock_id=former.lock_id)
        LockKey.objects.filter(pk=key_identity(Certificate.parse(row.der)), lock=former).update(lock=lock)
        LockCertificate.objects.filter(supersedes=row).update(supersedes=None)
        LockCertificate.objects.filter(lock=former, spki_sha256=row.spki_sha256).update(lock=lock)
        LockCertificate.objects.filter(pk=row.pk).update(superseded_at=None, current_since=timezone.now())
        if live is not None:
            seal_binding(live)
        details = {"certificate": cert_sha256, "former": str(former.pk)}
        record(Event.LOCK_GIVEN_BACK, lock=lock.pk, provider=former.provider.code, details=details)
    return lock
