"""Which certificates and reasons a CRL covers: issuingDistributionPoint compared with CRLDistributionPoints.

Source: RFC 5280 clauses 4.2.1.13, 5.2.5 and 6.3.3. Indirect CRLs are refused by calock, so a distribution point that names
another ``cRLIssuer`` is never satisfied.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from calock.core.certificates.certificate import Certificate
from calock.core.der import reader
from calock.core.der.names import comparison_bytes
from calock.core.refusals import Reason, Refusal

OID_CRL_DISTRIBUTION_POINTS = "2.5.29.31"
MAX_POINTS = 64
_POINT_NAME, _REASONS, _CRL_ISSUER = 0xA0, 0x81, 0xA2
_FULL, _RELATIVE, _DIRECTORY, _SET = 0xA0, 0xA1, 0xA4, 0x31

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
        for names, reasons in distribution_points(certificate):
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


def scope_of(point: x509.IssuingDistributionPoint, raw: bytes, issuer: bytes) -> CrlScope:
    """Read an issuingDistributionPoint: its flags as ``cryptography`` gives them, its names from the octets.

    ``raw``: the extension's value; ``issuer``: the Name (DER) of the CRL's issuer.

    Raises:
        DerError: malformed.
        Refusal: a name that cannot be compared.
    """
    start, stop = reader.whole(raw)
    names = next((_point_names(raw, first, last, issuer) for tag, _, first, last in reader.children(raw, start, stop, 8)
                  if tag == _POINT_NAME), frozenset())  # fmt: skip
    return CrlScope(
        points=names,
        only_user=point.only_contains_user_certs,
        only_ca=point.only_contains_ca_certs,
        only_attribute=point.only_contains_attribute_certs,
        indirect=point.indirect_crl,
        reasons=ALL_REASONS if point.only_some_reasons is None else _mask(point.only_some_reasons),
    )


@lru_cache(maxsize=1024)
def distribution_points(certificate: Certificate) -> tuple[tuple[frozenset[bytes], int], ...]:
    """(names, reasons) of each distribution point of a certificate, then the issuer's own name with all reasons.

    The last is RFC 5280 clause 6.3.3's "distribution point with both the reasons and the cRLIssuer fields omitted and a
    distribution point name of the certificate issuer".

    Raises:
        Refusal: CERTIFICATE_EXTENSION; the extension cannot be read, so it is not known which CRLs are meant.
    """
    value = certificate.value_of(OID_CRL_DISTRIBUTION_POINTS)
    try:
        found = [] if value is None else _read_points(value, certificate.issuer_der)
    except reader.DerError as error:
        raise Refusal(Reason.CERTIFICATE_EXTENSION, f"cRLDistributionPoints: {error}") from error
    own = frozenset((comparison_bytes(certificate.issuer_der),))
    return (*found, (own, ALL_REASONS))


def _read_points(value: bytes, issuer: bytes) -> list[tuple[frozenset[bytes], int]]:
    found = []
    start, stop = reader.whole(value)
    for tag, _, first, last in reader.children(value, start, stop, MAX_POINTS):
        if tag != reader.SEQUENCE:
            raise reader.DerError("a distribution point is not a SEQUENCE")
        parts = {part: (inner, end) for part, _, inner, end in reader.children(value, first, last, 3)}
        if not parts.keys() <= {_POINT_NAME, _REASONS, _CRL_ISSUER}:
            raise reader.DerError("malformed distribution point")
        if _CRL_ISSUER in parts:
            continue  # an indirect CRL is meant
        names = _point_names(value, *parts[_POINT_NAME], issuer) if _POINT_NAME in parts else frozenset()
        found.append((names, _flag_mask(value[slice(*parts[_REASONS])]) if _REASONS in parts else ALL_REASONS))
    return found


def _point_names(data: bytes, start: int, stop: int, issuer: bytes) -> frozenset[bytes]:
    """Names of a DistributionPointName (CHOICE fullName, nameRelativeToCRLIssuer) in comparison form."""
    [(tag, _, first, last)] = reader.children(data, start, stop, 1) or [(0, 0, 0, 0)]
    if tag == _RELATIVE:
        inner, end = reader.whole(issuer)
        rdn = reader.encode(_SET, data[first:last])
        return frozenset((comparison_bytes(reader.encode(reader.SEQUENCE, issuer[inner:end] + rdn)),))
    if tag != _FULL:
        raise reader.DerError("malformed distribution point name")
    found = frozenset(_general_name(data, *element) for element in reader.children(data, first, last, MAX_POINTS))
    if not found:
        raise reader.DerError("a distribution point without a name")
    return found


def _general_name(data: bytes, tag: int, position: int, first: int, last: int) -> bytes:
    """One GeneralName: a directory name in the comparison form of RFC 5280 clause 7.1, any other octet for octet."""
    if tag == _DIRECTORY:
        return comparison_bytes(data[first:last])
    return data[position:last]


def _mask(reasons: frozenset[x509.ReasonFlags]) -> int:
    return sum(1 << _FLAGS[reason] for reason in reasons if reason in _FLAGS)


def _flag_mask(bits: bytes) -> int:
    """ReasonFlags from the contents of their BIT STRING."""
    if not bits or bits[0] > 7 or len(bits) > 3:
        raise reader.DerError("malformed ReasonFlags")
    flags = [octet >> shift & 1 for octet in bits[1:] for shift in range(7, -1, -1)]
    return sum(1 << place for place, flag in enumerate(flags) if flag) & ALL_REASONS
