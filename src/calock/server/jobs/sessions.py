"""End sessions whose lock stopped being good: revoked, on hold, expired, or of a CA that is no longer recognised.

Only what is known to be bad ends a session. A CRL that cannot be fetched refuses new logins; it throws nobody out.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from calock.core.certificate import Certificate
from calock.core.evidence import Evidence
from calock.core.refusals import Reason, Refusal
from calock.core.register import Issuer, Register
from calock.core.revocation import check_revocation
from calock.core.verdict import RevocationStatus
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.models import LockCertificate
from calock.server.locks.revocations import note_revoked
from calock.server.providers.models import Provider, RevocationSource, SourceKind
from calock.server.providers.revocation import current_evidence, graph_of
from calock.server.providers.revocation_live import fetch_ocsp
from calock.server.providers.standing import end_sessions_without_ground
from calock.server.providers.trust import current_register
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions_of_lock

END_REASONS = {
    Reason.CERTIFICATE_REVOKED: "certificate revoked",
    Reason.CERTIFICATE_ON_HOLD: "certificate on hold",
    Reason.CERTIFICATE_EXPIRED: "certificate expired",
    Reason.CA_REVOKED: "ca revoked",
}
"""What ends a session here, and how its row says so."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    looked_at: int = 0
    ended: int = 0

    def __bool__(self) -> bool:
        return self.ended > 0

    def __str__(self) -> str:
        return f"{self.ended} sessions ended, {self.looked_at} locks looked at"


def sweep_sessions(*, at: datetime | None = None) -> Sweep:
    """Look at every lock with a live session once.

    Raises:
        Refusal: REGISTER_DAMAGED; nothing is known then, and nobody can log in either.
    """
    at = at or timezone.now()
    register, evidence = current_register(), current_evidence()
    ended = sum(_end_without_ground(provider, at) for provider in Provider.objects.all())
    authorities: dict[str, Reason | None] = {}
    looked_at = 0
    for row in _current_certificates(at):
        looked_at += 1
        bad = _why_bad(row, register, evidence, at, authorities)
        if bad is not None:
            ended += _end(row, *bad, at)
    return Sweep(looked_at, ended)


def renew_ocsp(*, at: datetime | None = None, most: int = 200, seconds: float = 40.0) -> int:
    """Ask OCSP anew about locks with live sessions whose CA publishes no CRL; how many were asked about.

    The next sweep ends the sessions of those that were revoked. What does not fit waits for the next minute.
    """
    at = at or timezone.now()
    end = time.monotonic() + seconds
    published = set(RevocationSource.objects.values_list("ca_record__spki_sha256", "kind"))
    register = current_register()
    asked = 0
    for row in _current_certificates(at):
        key = row.ca_record.spki_sha256
        issuers = register.with_key(key)
        if (key, SourceKind.OCSP) not in published or (key, SourceKind.CRL) in published or not issuers:
            continue
        if asked >= most or time.monotonic() > end:
            break
        leaf = _certificate(row)
        if leaf is None:
            continue
        asked += 1
        fetch_ocsp(leaf, issuers[0].certificate, graph=graph_of(issuers[0].provider), at=at, anew=True)
    return asked


def _end_without_ground(provider: Provider, at: datetime) -> int:
    with transaction.atomic():
        count = end_sessions_without_ground(provider, at=at)
        if count:
            record(Event.SESSIONS_REVOKED, provider=provider.code, subject=provider.pk,
                   details={"count": count, "why": "ca not recognised"})  # fmt: skip
    return count


def _current_certificates(at: datetime) -> Iterator[LockCertificate]:
    locks = Session.objects.filter(lock__isnull=False, ended_at__isnull=True, expires_at__gt=at).values("lock_id")
    rows = LockCertificate.objects.filter(lock__in=locks, superseded_at__isnull=True).select_related("ca_record")
    needed = ("id", "lock_id", "serial", "sealed_der", "cert_sha256", "not_after", "ca_record__spki_sha256")
    return rows.only(*needed).iterator(chunk_size=500)


def _why_bad(
    row: LockCertificate, register: Register, evidence: Evidence, at: datetime, authorities: dict[str, Reason | None]
) -> tuple[Reason, RevocationStatus | None] | None:
    issuers = register.with_key(row.ca_record.spki_sha256)
    if not issuers:
        return None  # its CA is out of use: ended above with all of its provider's
    issuer = issuers[0]
    if at > row.not_after + issuer.provider.policy.grace:
        return Reason.CERTIFICATE_EXPIRED, None
    if row.ca_record.spki_sha256 not in authorities:
        authorities[row.ca_record.spki_sha256] = _authority_problem(issuer, register, evidence, at)
    problem = authorities[row.ca_record.spki_sha256]
    if problem is not None:
        return problem, None
    leaf = _certificate(row)
    return None if leaf is None else _revoked([leaf, issuer.certificate], issuer, evidence, at)


def _certificate(row: LockCertificate) -> Certificate | None:
    """The stored certificate; None when it does not open: one damaged row must not keep the sweep from the others."""
    try:
        return Certificate.parse(row.der)
    except Refusal:
        return None


def _revoked(
    path: list[Certificate], issuer: Issuer, evidence: Evidence, at: datetime
) -> tuple[Reason, RevocationStatus | None] | None:
    found = check_revocation(path, evidence=evidence, policy=issuer.provider.policy, at=at)
    reason = found.reason
    return (reason, found.statuses[0]) if reason is not None and reason in END_REASONS else None


def _authority_problem(issuer: Issuer, register: Register, evidence: Evidence, at: datetime) -> Reason | None:
    """Whether the issuing CA itself, or one above it, is revoked."""
    path = [issuer]
    while not path[-1].ca.anchor and len(path) < issuer.provider.policy.max_depth:
        above = [item for item in register.named(path[-1].certificate.issuer_key) if item.provider is issuer.provider]
        if not above:
            break
        path.append(above[0])
    if len(path) < 2:
        return None
    found = _revoked([item.certificate for item in path], issuer, evidence, at)
    return None if found is None else Reason.CA_REVOKED


def _end(row: LockCertificate, reason: Reason, status: RevocationStatus | None, at: datetime) -> int:
    with transaction.atomic():
        count = end_sessions_of_lock(lock_id=row.lock_id, reason=END_REASONS[reason], at=at)
        details: dict[str, str | int] = {"count": count, "why": END_REASONS[reason], "certificate": row.cert_sha256}
        record(Event.SESSIONS_REVOKED, lock=_lock_id(row), reason=reason, details=details)
        if reason is Reason.CERTIFICATE_REVOKED and status is not None:
            note_revoked(row.ca_record.spki_sha256, row.serial, status=status, at=at)
    return count


def _lock_id(row: LockCertificate) -> uuid.UUID:
    return row.lock_id
