"""Whether the certificate that a lock is bound by is still live when another one wants to take its place.

Looked at before the transaction that decides: it may read revocation data, and what it finds out (that the certificate is revoked)
must outlive a refusal. The transaction then insists that the lock's current version is still the one that was looked at.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.path_choice import choose_path
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.check import check_revocation
from calock.core.verdict import Step
from calock.server.locks.models import LockCertificate
from calock.server.locks.revocations import is_revoked, note_revoked
from calock.server.providers.trust import current_register
from calock.server.revocation.evidence import current_evidence

_STEPS = frozenset({Step.PATH, Step.REVOCATION})


class RacedError(Exception):
    """The lock's current version, or the lock its key stands under, is another one meanwhile: look again."""


@dataclass(frozen=True, slots=True)
class PredecessorStatus:
    """What is known about one version of a lock at one moment."""

    version: uuid.UUID
    revoked: bool = False
    """For good. It passes nothing on, to whomever and with whatever proof."""
    doubt: str = ""
    """Why it is not known to be live: expired, on hold, no revocation data. A person's fresh proof may stand in for that."""


def predecessor_status(version: LockCertificate, *, at: datetime) -> PredecessorStatus:
    """Judge a stored certificate by the rows and by the revocation data at hand; nothing is fetched.

    Raises:
        Refusal: REGISTER_DAMAGED.
    """
    if version.revoked_at is not None or is_revoked(version.ca_record.spki_sha256, version.serial):
        return PredecessorStatus(version.pk, revoked=True)
    register = current_register()
    try:
        certificate = Certificate.parse(version.der)
        provider = version.ca_record.provider.code  # by the rules that took it in
        chosen = choose_path(certificate, VerificationInputs(register, at, current_evidence(), provider=provider, steps=_STEPS))
    except Refusal as refusal:
        return PredecessorStatus(version.pk, doubt=f"the stored certificate cannot be judged: {refusal.detail}")
    path = chosen.path
    if path.provider is None or not path.checks[0].passed:
        return PredecessorStatus(version.pk, doubt="its CA is not recognised any more")
    evidence = current_evidence().of_provider(path.provider.code)
    found = chosen.revocation or check_revocation(path.certificates, evidence=evidence, policy=path.provider.policy, at=at)
    if found.reason is Reason.CERTIFICATE_REVOKED:
        note_revoked(version.ca_record.spki_sha256, version.serial, status=found.statuses[0], at=at)
        return PredecessorStatus(version.pk, revoked=True)
    if at > version.not_after + path.provider.policy.grace:
        return PredecessorStatus(version.pk, doubt="it has expired")
    return PredecessorStatus(version.pk, doubt=f"its revocation status: {found.reason}" if found.reason else "")
