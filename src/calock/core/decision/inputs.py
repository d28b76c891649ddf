"""What a verification depends on besides the certificate itself."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from calock.core.decision.cache import VerificationCache
from calock.core.register import Register
from calock.core.revocation.evidence import NoRevocationEvidence, RevocationEvidence
from calock.core.verdict import ALL_STEPS, Step


@dataclass(frozen=True, slots=True)
class VerificationInputs:
    """Time, trust, evidence and choices (compare RFC 5280 clause 6.1.1)."""

    register: Register
    at: datetime
    evidence: RevocationEvidence = field(default_factory=NoRevocationEvidence)
    provider: str | None = None
    """Code of the provider the person chose; None = any."""
    site: str | None = None
    """Site on which the certificate is used; None = do not ask whether the site recognises the provider."""
    steps: AbstractSet[Step] = ALL_STEPS
    stapled: tuple[bytes, ...] = ()
    device_serial: str = ""
    cache: VerificationCache | None = None
    """Cache of earlier verifications; None = no cache."""
    revocation_given: bool = True
    """False: no revocation data were given and no rule demands them, so the step is reported as skipped (command line only)."""
