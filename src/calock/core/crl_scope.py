"""Which certificates and which reasons a CRL speaks for: issuingDistributionPoint against CRLDistributionPoints.

Source: RFC 5280 clauses 4.2.1.13, 5.2.5 and 6.3.3. Indirect CRLs are refused by calock, so a distribution point that names
another ``cRLIssuer`` is never satisfied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

ALL_REASONS = 0b1_1111_1110
"""Bits 1 to 8 of ReasonFlags (bit n = 1 << n): keyCompromise … aACompromise; bit 0 is unused by the standard."""

_FLAGS = {
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.privilege_withdrawn: 7,
    x509.ReasonFlags.aa_compromise: 8,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an issuingDistributionPoint limits a CRL to; the default is a CRL without one: everything its issuer issued."""

    points: frozenset[bytes] = frozenset()
    """Distribution point names in comparison form; empty = any."""
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    indirect: bool = False
    reasons: int = ALL_REASONS

    def reasons_for(self, certificate: bytes, *, is_ca: bool) -> int:
        """Mask of the reasons for which this CRL decides about ``certificate`` (DER); 0 = not in scope."""
        if self.only_attribute or (self.only_user and is_ca) or (self.only_ca and not is_ca):
            return 0
        if not self.points:
            return self.reasons
        mask = 0
        for names, reasons in distribution_points(certificate):
            if names & self.points:
                mask |= reasons
        return mask & self.reasons


EVERYTHING = Scope()


def scope_of(point: x509.IssuingDistributionPoint, issuer: x509.Name) -> Scope:
    """Read an issuingDistributionPoint of a CRL by ``issuer``."""
    names = {_comparable(name) for name in point.full_name or ()}
    if point.relative_name is not None:
        names.add(_directory(x509.Name([*issuer.rdns, point.relative_name])))
    return Scope(
        points=frozenset(names),
        only_user=point.only_contains_user_certs,
        only_ca=point.only_contains_ca_certs,
        only_attribute=point.only_contains_attribute_certs,
        indirect=point.indirect_crl,
        reasons=_mask(point.only_some_reasons),
    )


@lru_cache(maxsize=4096)
def distribution_points(certificate: bytes) -> tuple[tuple[frozenset[bytes], int], ...]:
    """(names, reasons) of each distribution point of a certificate (DER), then the issuer's own name with all reasons.

    The last is RFC 5280 clause 6.3.3's "distribution point with both the reasons and the cRLIssuer fields omitted and a
    distribution point name of the certificate issuer". A certificate whose extension cannot be read has only that one.
    """
    parsed = x509.load_der_x509_certificate(certificate)
    found: list[tuple[frozenset[bytes], int]] = []
    try:
        points = parsed.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        points = None
    for point in points or ():
        if point.crl_issuer:
            continue
        names = {_comparable(name) for name in point.full_name or ()}
        if point.relative_name is not None:
            names.add(_directory(x509.Name([*parsed.issuer.rdns, point.relative_name])))
        found.append((frozenset(names), _mask(point.reasons)))
    found.append((frozenset((_directory(parsed.issuer),)), ALL_REASONS))
    return tuple(found)


def _mask(reasons: frozenset[x509.ReasonFlags] | None) -> int:
    return ALL_REASONS if reasons is None else sum(1 << _FLAGS[reason] for reason in reasons if reason in _FLAGS)


def _comparable(name: x509.GeneralName) -> bytes:
    if isinstance(name, x509.DirectoryName):
        return _directory(name.value)
    return f"{type(name).__name__}:{name.value!r}".encode()


def _directory(name: x509.Name) -> bytes:
    """RFC 5280 clause 7.1 in the part that matters between CRLs and certificates of one CA: case and inner spaces."""
    relative = [
        sorted(f"{item.oid.dotted_string}={' '.join(str(item.value).casefold().split())}" for item in rdn) for rdn in name.rdns
    ]
    return f"DN:{relative!r}".encode()
