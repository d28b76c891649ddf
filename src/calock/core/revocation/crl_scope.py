"""Which certificates and reasons a CRL covers: issuingDistributionPoint compared with CRLDistributionPoints.

Source: RFC 5280 clauses 4.2.1.13, 5.2.5 and 6.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

from calock.core.certificates.certificate import Certificate
from calock.core.der.distribution_points import ALL_REASONS, issuing_distribution_point


@dataclass(frozen=True, slots=True)
class CrlScope:
    """What an issuingDistributionPoint limits a CRL to; the default is a CRL without one: everything its issuer issued."""

    points: frozenset[bytes] = frozenset()
    """Distribution point names in comparison form; empty = any."""
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    indirect: bool = False
    reasons: int = ALL_REASONS

    def reasons_for(self, certificate: Certificate) -> int:
        """Mask of the reasons for which this CRL decides about ``certificate``; 0 = not in scope.

        Raises:
            Refusal: CERTIFICATE_EXTENSION, when the certificate's distribution points cannot be read.
        """
        if self.only_attribute or (self.only_user and certificate.is_ca) or (self.only_ca and not certificate.is_ca):
            return 0
        if not self.points:
            return self.reasons
        mask = 0
        for names, reasons in certificate.distribution_points:
            if names & self.points:
                mask |= reasons
        return mask & self.reasons

    def covers(self, other: CrlScope) -> bool:
        """Whether a CRL of this scope covers every certificate and every reason that one of the ``other`` scope covers."""
        kinds = not (self.only_attribute or self.only_user or self.only_ca) or self.kinds == other.kinds
        points = not self.points or (bool(other.points) and self.points >= other.points)
        return kinds and points and self.indirect == other.indirect and not other.reasons & ~self.reasons

    @property
    def kinds(self) -> tuple[bool, bool, bool]:
        """Flags of the kinds of certificates it is limited to: users', CAs', attributes; none = all."""
        return self.only_user, self.only_ca, self.only_attribute


FULL_SCOPE = CrlScope()


def scope_of(value: bytes, issuer: bytes) -> CrlScope:
    """The scope that an issuingDistributionPoint (the extension's value) says. ``issuer``: the Name (DER) of the CRL's issuer.

    Raises:
        DerError: malformed.
        Refusal: a name that cannot be compared.
    """
    return CrlScope(*issuing_distribution_point(value, issuer))
