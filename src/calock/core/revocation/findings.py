"""The statement of one source of revocation data about one certificate, and which of several statements decides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason
from calock.core.revocation.crl_entries import HOLD, REASON_NAMES
from calock.core.verdict import RevocationStatus

_STRENGTH = {reason: place for place, reason in enumerate((
    Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED, Reason.REVOCATION_UNKNOWN, None,
    Reason.REVOCATION_STALE, Reason.REVOCATION_UNTRUSTED, Reason.REVOCATION_UNAVAILABLE,
))}  # fmt: skip
"""Which finding decides when there are several, the strongest first; None = good."""


_LOST = frozenset({REASON_NAMES[1], REASON_NAMES[2]})


class RevocationFinding(msgspec.Struct, frozen=True):
    """The statement of one source, or of all together, about one certificate. ``reason`` None = good."""

    reason: Reason | None
    source: str = ""
    detail: str = ""
    this_update: datetime | None = None
    next_update: datetime | None = None
    sha256: str = ""
    revoked_at: datetime | None = None

    @property
    def means_lost_key(self) -> bool:
        """Revoked because somebody else may have the key (CRLReason keyCompromise or cACompromise)."""
        return self.reason is Reason.CERTIFICATE_REVOKED and self.detail.partition(",")[0] in _LOST

    def status(self, certificate: Certificate) -> RevocationStatus:
        return RevocationStatus(
            certificate.sha256, self.source, self.this_update, self.next_update, self.sha256, self.revoked_at, self.detail
        )


def strongest(findings: Iterable[RevocationFinding]) -> RevocationFinding:
    """The finding that decides; there must be one."""
    return min(findings, key=lambda finding: _STRENGTH[finding.reason])


def about_revocation(reason: Reason) -> Reason:
    """``reason`` when it is one about revocation, otherwise REVOCATION_UNTRUSTED."""
    return reason if reason in _STRENGTH else Reason.REVOCATION_UNTRUSTED


def revoked(code: int) -> tuple[Reason, str]:
    """Reason and words for a CRLReason code."""
    name = REASON_NAMES.get(code, f"reason {code}")
    return (Reason.CERTIFICATE_ON_HOLD if code == HOLD else Reason.CERTIFICATE_REVOKED), name
