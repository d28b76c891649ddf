"""cRLDistributionPoints and issuingDistributionPoint: which CRLs a certificate names, and which certificates a CRL is about.

Source: RFC 5280 clauses 4.2.1.13 and 5.2.5. A distribution point that names another ``cRLIssuer`` means an indirect CRL; calock
refuses those, so it is never satisfied. One that names the certificate's own issuer there says nothing new.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from calock.core.der import reader
from calock.core.der.names import comparison_bytes
from calock.core.refusals import Refusal

OID_CRL_DISTRIBUTION_POINTS = "2.5.29.31"
MAX_POINTS = 64
_POINT_NAME, _REASONS, _CRL_ISSUER = 0xA0, 0x81, 0xA2
_FULL, _RELATIVE, _DIRECTORY, _URI, _SET = 0xA0, 0xA1, 0xA4, 0x86, 0x31
_SCHEME_AND_HOST = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_ONLY_USER, _ONLY_CA, _SOME_REASONS, _INDIRECT, _ONLY_ATTRIBUTE = 0x81, 0x82, 0x83, 0x84, 0x85

ALL_REASONS = 0b1_1111_1110
"""Bits 1 to 8 of ReasonFlags (bit n = 1 << n): keyCompromise … aACompromise; bit 0 is unused by the standard."""


class IssuingPoint(NamedTuple):
    """An issuingDistributionPoint."""

    names: frozenset[bytes] = frozenset()
    """Distribution point names in comparison form; empty = none."""
    only_user: bool = False
    only_ca: bool = False
    only_attribute: bool = False
    indirect: bool = False
    reasons: int = ALL_REASONS


def crl_distribution_points(value: bytes, issuer: bytes) -> list[tuple[frozenset[bytes], int]]:
    """(names, reasons) of each distribution point. ``issuer``: Name (DER) of the certificate's issuer.

    Raises:
        DerError: malformed.
        Refusal: a name that cannot be compared.
    """
    found = []
    start, stop = reader.whole(value)
    for tag, _, first, last in reader.children(value, start, stop, MAX_POINTS):
        if tag != reader.SEQUENCE:
            raise reader.DerError("a distribution point is not a SEQUENCE")
        parts = {part: (inner, end) for part, _, inner, end in reader.children(value, first, last, 3)}
        if not parts.keys() <= {_POINT_NAME, _REASONS, _CRL_ISSUER}:
            raise reader.DerError("malformed distribution point")
        if _CRL_ISSUER in parts and not _is_named(issuer, value, *parts[_CRL_ISSUER]):
            continue  # an indirect CRL is meant
        names = _point_names(value, *parts[_POINT_NAME], issuer) if _POINT_NAME in parts else frozenset()
        found.append((names, _reasons(value[slice(*parts[_REASONS])]) if _REASONS in parts else ALL_REASONS))
    return found


def issuing_distribution_point(value: bytes, issuer: bytes) -> IssuingPoint:
    """An issuingDistributionPoint. ``issuer``: Name (DER) of the CRL's issuer. A flag that is written out as FALSE is FALSE.

    Raises:
        DerError: malformed.
        Refusal: a name that cannot be compared.
    """
    start, stop = reader.whole(value)
    names: frozenset[bytes] = frozenset()
    reasons, flags, before = ALL_REASONS, set[int](), 0
    for tag, _, first, last in reader.children(value, start, stop, 6):
        if tag & 0x1F < before or (tag != _POINT_NAME and not _ONLY_USER <= tag <= _ONLY_ATTRIBUTE):
            raise reader.DerError("malformed issuingDistributionPoint")
        before = (tag & 0x1F) + 1
        if tag == _POINT_NAME:
            names = _point_names(value, first, last, issuer)
        elif tag == _SOME_REASONS:
            reasons = _reasons(value[first:last])
        elif reader.boolean(value[first:last]):
            flags.add(tag)
    if len(flags & {_ONLY_USER, _ONLY_CA, _ONLY_ATTRIBUTE}) > 1:
        raise reader.DerError("an issuingDistributionPoint for more than one kind of certificates alone")
    return IssuingPoint(names, _ONLY_USER in flags, _ONLY_CA in flags, _ONLY_ATTRIBUTE in flags, _INDIRECT in flags, reasons)


def _point_names(data: bytes, start: int, stop: int, issuer: bytes) -> frozenset[bytes]:
    """Names of a DistributionPointName (CHOICE fullName, nameRelativeToCRLIssuer) in comparison form."""
    [(tag, _, first, last)] = reader.children(data, start, stop, 1) or [(0, 0, 0, 0)]
    if tag == _RELATIVE:
        inner, end = reader.whole(issuer)
        rdn = reader.encode(_SET, data[first:last])
        return frozenset((comparison_bytes(reader.encode(reader.SEQUENCE, issuer[inner:end] + rdn)),))
    if tag != _FULL:
        raise reader.DerError("malformed distribution point name")
    found = _names_in(data, first, last)
    if not found:
        raise reader.DerError("a distribution point without a name")
    return found


def _is_named(issuer: bytes, data: bytes, first: int, last: int) -> bool:
    """Whether a cRLIssuer is ``issuer`` alone. One that cannot be read is another."""
    try:
        return _names_in(data, first, last) == {comparison_bytes(issuer)}
    except (reader.DerError, Refusal):
        return False


def _names_in(data: bytes, first: int, last: int) -> frozenset[bytes]:
    return frozenset(_general_name(data, *element) for element in reader.children(data, first, last, MAX_POINTS))


def _general_name(data: bytes, tag: int, position: int, first: int, last: int) -> bytes:
    """One GeneralName in the comparison form of RFC 5280: directory names of clause 7.1, addresses of 7.4, any other its octets."""
    if tag == _DIRECTORY:
        return comparison_bytes(data[first:last])
    if tag == _URI:
        host = _SCHEME_AND_HOST.match(data, first, last)
        end = host.end() if host else first
        return data[position:first] + data[first:end].lower() + data[end:last]
    return data[position:last]


def _reasons(bits: bytes) -> int:
    """ReasonFlags from the contents of their BIT STRING."""
    return sum(1 << place for place, flag in enumerate(reader.flags(bits)) if flag) & ALL_REASONS
