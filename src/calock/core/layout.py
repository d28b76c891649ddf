"""Where the parts of a TBSCertificate lie: raw names, key and extensions (RFC 5280 clause 4.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from calock.core import walk

_BOOLEAN = 0x01

MAX_EXTENSIONS = 64
OID_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
OID_SM2_CURVE = "1.2.156.10197.1.301"
OID_RSA = "1.2.840.113549.1.1.1"


class Extension(NamedTuple):
    """One extension as it stands in the certificate. ``value`` is the DER inside the OCTET STRING."""

    oid: str
    critical: bool
    value: bytes


class Layout(NamedTuple):
    """Raw DER of the parts that are compared or decoded by us."""

    signature_algorithm: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    extensions: tuple[Extension, ...]
    unique_ids: bool


_oid = lru_cache(maxsize=512)(walk.oid)
"""The same few dozen identifiers in every certificate."""


def read_layout(tbs: bytes) -> Layout:
    """Walk the fields of a TBSCertificate.

    Raises:
        WalkError: not in the order or form of RFC 5280.
    """
    start, stop = walk.whole(tbs, walk.SEQUENCE)
    elements = list(walk.children(tbs, start, stop))
    if elements and elements[0][0] == 0xA0:
        elements.pop(0)
    if len(elements) < 6 or [tag for tag, *_ in elements[:6]] != [0x02, 0x30, 0x30, 0x30, 0x30, 0x30]:
        raise walk.WalkError("fields of the certificate are not in order")
    parts = [tbs[begin:end] for _, begin, _, end in elements[:6]]
    extensions: tuple[Extension, ...] = ()
    for tag, _, inner, end in elements[6:]:
        if tag == 0xA3:
            extensions = _read_extensions(tbs, *walk.expect(tbs, inner, end, walk.SEQUENCE))
    return Layout(parts[1], parts[2], parts[4], parts[5], extensions, any(tag in (0x81, 0x82) for tag, *_ in elements[6:]))


def _read_extensions(tbs: bytes, start: int, stop: int) -> tuple[Extension, ...]:
    found = walk.children(tbs, start, stop, limit=MAX_EXTENSIONS)
    if any(tag != walk.SEQUENCE for tag, *_ in found):
        raise walk.WalkError("an extension is not a SEQUENCE")
    return tuple(read_extension(tbs, first, last) for _, _, first, last in found)


def read_extension(data: bytes, start: int, stop: int) -> Extension:
    """Read one Extension from the contents of its SEQUENCE.

    Raises:
        WalkError: malformed.
    """
    first, after = walk.expect(data, start, stop, walk.OID)
    name = _oid(data[first:after])
    critical = False
    tag, inner, end = walk.element(data, after, stop)
    if tag == _BOOLEAN:
        critical = data[inner:end] != b"\x00"
        tag, inner, end = walk.element(data, end, stop)
    if tag != walk.OCTET_STRING or end != stop:
        raise walk.WalkError("malformed extension")
    return Extension(name, critical, data[inner:end])


def key_oids(spki: bytes) -> tuple[str, str]:
    """(algorithm OID, named-curve OID) of a SubjectPublicKeyInfo.

    The curve is empty when there are no parameters or they are NULL, ``explicit`` when they are anything else.

    Raises:
        WalkError: malformed.
    """
    start, stop = walk.whole(spki, walk.SEQUENCE)
    inner, end = walk.expect(spki, start, stop, walk.SEQUENCE)
    first, after = walk.expect(spki, inner, end, walk.OID)
    algorithm = _oid(spki[first:after])
    if after == end:
        return algorithm, ""
    tag, begin, last = walk.element(spki, after, end)
    if tag == 0x05:
        return algorithm, ""
    return algorithm, _oid(spki[begin:last]) if tag == walk.OID else "explicit"


def key_kind(algorithm: str, curve: str) -> str:
    """``SM2``, ``RSA``, ``EC``, or the dotted OID of another kind of key."""
    if algorithm == OID_RSA:
        return "RSA"
    if algorithm == OID_EC_PUBLIC_KEY:
        return "SM2" if curve == OID_SM2_CURVE else "EC"
    return algorithm
