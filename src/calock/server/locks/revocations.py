"""Certificates that were found revoked once. Once revoked by any source, a certificate stays revoked.

A CA may drop an entry, a second source may say good, a stapled answer may not come again: who was told once that a certificate is
revoked refuses it for ever. A hold is never noted; it may be lifted.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.core.verdict import RevocationStatus
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.models import LockCertificate, RevokedCertificate
from calock.server.sessions.services import end_sessions_of_lock
from calock.server.tools.retry import again_when_broken_off


def known_lock(issuer_key: str, serial: str) -> uuid.UUID | None:
    """The lock that has, or had, the certificate of this issuing key (SPKI SHA-256) and serial number."""
    rows = LockCertificate.objects.filter(ca_record__spki_sha256=issuer_key, serial=serial)
    return rows.values_list("lock_id", flat=True).first()


@again_when_broken_off
def note_revoked(issuer_key: str, serial: str, *, status: RevocationStatus, at: datetime) -> int:
    """Remember for good that the certificate of this issuing key and serial number is revoked; bound or not. Sessions ended.

    ``status`` is what the finding rests on. A lock's version gets its ``revoked_at``, and the sessions of the lock whose current
    certificate it is end. Noting it twice changes nothing. Call it outside the transaction that a refusal rolls back.
    """
    with transaction.atomic():
        row = RevokedCertificate(
            issuer_key=issuer_key, serial=serial, revoked_at=status.revoked_at, source=status.source,
            evidence_sha256=status.evidence_sha256, learnt_at=at,
        )  # fmt: skip
        RevokedCertificate.objects.bulk_create([row], ignore_conflicts=True)
        version = LockCertificate.objects.filter(ca_record__spki_sha256=issuer_key, serial=serial, revoked_at__isnull=True).first()
        if version is not None and LockCertificate.objects.filter(pk=version.pk, revoked_at__isnull=True).update(revoked_at=at):
            return _end(version, status, at)
    return 0


def _end(version: LockCertificate, status: RevocationStatus, at: datetime) -> int:
    details: dict[str, str | int] = {"certificate": version.cert_sha256, "source": status.source, "finding": status.detail}
    details["evidence"] = status.evidence_sha256
    why = Reason.CERTIFICATE_REVOKED
    record(Event.CERTIFICATE_REVOKED, lock=version.lock_id, reason=why, details=details)
    if version.superseded_at is not None:
        return 0
    count = end_sessions_of_lock(lock_id=version.lock_id, reason="certificate revoked", at=at)
    if count:
        ended: dict[str, str | int] = {"count": count, "why": "certificate revoked", "certificate": version.cert_sha256}
        record(Event.SESSIONS_REVOKED, lock=version.lock_id, reason=why, details=ended)
    return count


def is_revoked(issuer_key: str, serial: str) -> bool:
    return RevokedCertificate.objects.filter(issuer_key=issuer_key, serial=serial).exists()


def require_not_revoked(issuer_key: str, serial: str) -> None:
    """Return unless this certificate was found revoked before, whatever today's data say.

    Raises:
        Refusal: CERTIFICATE_REVOKED.
    """
    row = RevokedCertificate.objects.filter(issuer_key=issuer_key, serial=serial).first()
    if row is None:
        return
    lock = known_lock(issuer_key, serial)
    about = {"lock": lock} if lock else {}
    raise Refusal(
        Reason.CERTIFICATE_REVOKED, f"found revoked on {row.learnt_at:%Y-%m-%d} by {row.source or 'the sweep'}", about=about
    )
