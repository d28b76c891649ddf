"""What one source of revocation data says about one certificate, and which of several findings decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from calock.core.certificate import Certificate
from calock.core.crl_entries import HOLD, REASON_NAMES
from calock.core.crl_index import CrlIndex
from calock.core.refusals import Reason
from calock.core.verdict import RevocationStatus

_STRONGEST = (
    Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED, Reason.REVOCATION_UNKNOWN, None,
    Reason.REVOCATION_STALE, Reason.REVOCATION_UNTRUSTED, Reason.REVOCATION_UNAVAILABLE,
)  # fmt: skip
"""Which finding decides when several sources speak; None = good."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source, or in the end all of them, say about one certificate. ``reason`` None = good."""

    reason: Reason | None
    source: str = ""
    detail: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    sha256: str = ""
    revoked_at: datetime | None = None

    def status(self, certificate: Certificate) -> RevocationStatus:
        return RevocationStatus(
            certificate.sha256, self.source, self.this_update, self.next_update, self.sha256, self.revoked_at, self.detail
        )


def strongest(findings: Iterable[Finding]) -> Finding:
    """The finding that decides; there must be one."""
    return min(findings, key=lambda finding: _STRONGEST.index(finding.reason))


def not_on(crl: CrlIndex) -> Finding:
    """Say that a certificate is not on this CRL."""
    return Finding(None, "crl", "not on the CRL", crl.this_update, crl.next_update, crl.sha256)


def revoked(code: int) -> tuple[Reason, str]:
    """Reason and words for a CRLReason code."""
    name = REASON_NAMES.get(code, f"reason {code}")
    return (Reason.CERTIFICATE_ON_HOLD if code == HOLD else Reason.CERTIFICATE_REVOKED), name
