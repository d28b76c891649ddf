"""The result of verification: named checks, and the verdict that follows from them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from functools import lru_cache

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust


class Step(StrEnum):
    """The steps of verification in the order in which they run. TOKEN comes before the five of a certificate."""

    TOKEN = "token"  # noqa: S105 - a step's name
    GATE = "gate"
    SIGNATURE = "signature"
    PATH = "path"
    REVOCATION = "revocation"
    PROFILE = "profile"
    IDENTITY = "identity"


ALL_STEPS = frozenset({Step.GATE, Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY})


class Check(msgspec.Struct, frozen=True):
    """One named check. ``passed`` None = skipped, and ``detail`` says why. ``detail`` never holds personal data."""

    step: Step | None
    name: str
    passed: bool | None
    reason: Reason | None = None
    detail: str = ""


@lru_cache(maxsize=512)
def passed(step: Step, name: str, detail: str = "") -> Check:
    return Check(step, name, passed=True, detail=detail)


def failed(step: Step, name: str, reason: Reason, detail: str = "") -> Check:
    return Check(step, name, passed=False, reason=reason, detail=detail)


def skipped(step: Step, name: str, detail: str) -> Check:
    return Check(step, name, passed=None, detail=detail)


class RevocationStatus(msgspec.Struct, frozen=True):
    """The revocation status of one certificate of the path, and the evidence for it."""

    certificate_sha256: str
    source: str
    """``crl``, ``ocsp``, ``stapled`` or empty when nothing was found."""
    this_update: datetime | None = None
    next_update: datetime | None = None
    evidence_sha256: str = ""
    revoked_at: datetime | None = None
    detail: str = ""


class Identity(msgspec.Struct, frozen=True):
    """Which lock, and who holds it. ``holder_id`` is clear text: hash it before it is stored, never log it."""

    lock_id: str
    """Shown to people as CA锁ID."""
    lock_source: str
    """Which kind of rule gave it: ``oid``, ``dn``, ``device`` or ``key``."""
    holder_kind: str = ""
    """``uscc``, ``id_card``, ``text``, or empty when the certificate names no holder by an id."""
    holder_id: str = ""
    holder_masked: str = ""

    def __repr__(self) -> str:
        return f"<Identity {self.lock_id} {self.holder_kind} {self.holder_masked}>"


class Verdict(msgspec.Struct, frozen=True):
    """All checks of one verification, and what they found."""

    checks: tuple[Check, ...]
    certificate: Certificate | None = None
    """The parsed leaf, also when it was refused later."""
    provider: ProviderTrust | None = None
    """The provider whose CA issued it; set when the path holds."""
    issuer: CaCertificate | None = None
    """The CA record that issued it: ``issuer.spki_sha256`` identifies it."""
    path: tuple[bytes, ...] = ()
    """DER, leaf first, anchor last."""
    identity: Identity | None = None
    revocation: tuple[RevocationStatus, ...] = ()

    @property
    def failure(self) -> Check | None:
        """The first failed check."""
        for check in self.checks:
            if check.passed is False:
                return check
        return None

    @property
    def reason(self) -> Reason | None:
        """Reason of the first failed check; None = accepted."""
        failure = self.failure
        return failure.reason if failure else None

    @property
    def accepted(self) -> bool:
        return self.failure is None

    def require(self) -> None:
        """Return when accepted.

        Raises:
            Refusal: with the reason of the first failed check.
        """
        failure = self.failure
        if failure is not None and failure.reason is not None:
            raise Refusal(failure.reason, failure.detail)
