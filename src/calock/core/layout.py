"""Where the parts of a certificate lie: signed part, raw names, key and extensions (RFC 5280 clause 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from calock.core import walk

_BOOLEAN = 0x01
_SHARED = 256
"""Octets of an extension up to which certificates that hold the same one share what was read of it."""

MAX_EXTENSIONS = 64
OID_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
OID_SM2_CURVE = "1.2.156.10197.1.301"
OID_RSA = "1.2.840.113549.1.1.1"

T = TypeVar("T")


class Extension:
    """One extension as it stands in the certificate. ``value`` is the DER inside the OCTET STRING.

    Most extensions of a lock are those of every lock of its CA, octet for octet: such certificates hold one object, and what was
    read of it is read once.
    """

    __slots__ = ("_reader", "_result", "critical", "oid", "proved", "value")

    def __init__(self, oid: str, value: bytes, *, critical: bool) -> None:
        self.oid = oid
        self.critical = critical
        self.value = value
        self.proved = False
        """``cryptography`` has decoded these very octets, or leaves this kind of extension undecoded."""
        self._reader: Callable[[bytes], Any] | None = None
        self._result: Any = None

    def read(self, reader: Callable[[bytes], T]) -> T:
        """Decode the value.

        Raises:
            WalkError: as ``reader`` does.
        """
        if self._reader is not reader:
            self._result = reader(self.value)
            self._reader = reader
        result: T = self._result
        return result

    def __repr__(self) -> str:
        return f"<Extension {self.oid}{' critical' if self.critical else ''}>"


class Layout(NamedTuple):
    """Raw DER of the parts that are compared or decoded by us."""

    tbs: bytes
    algorithm: bytes
    """The AlgorithmIdentifier outside the signed part."""
    inner_algorithm: bytes
    issuer: bytes
    subject: bytes
    spki: bytes
    extensions: tuple[Extension, ...]
    unique_ids: bool


_oid = lru_cache(maxsize=512)(walk.oid)
"""The same few dozen identifiers in every certificate."""


def read_layout(der: bytes) -> Layout:
    """Walk the fields of a certificate.

    Raises:
        WalkError: not in the order or form of RFC 5280.
    """
    parts = walk.children(der, *walk.whole(der), 3)
    if len(parts) != 3 or parts[0][0] != walk.SEQUENCE or parts[1][0] != walk.SEQUENCE:
        raise walk.WalkError("not a certificate")
    (_, tbs, first, tbs_end), (_, algorithm, _, algorithm_end), _ = parts
    elements = walk.children(der, first, tbs_end, 10)
    if elements and elements[0][0] == 0xA0:
        del elements[0]
    if [element[0] for element in elements[:6]] != [0x02, 0x30, 0x30, 0x30, 0x30, 0x30]:
        raise walk.WalkError("fields of the certificate are not in order")
    _, inner, issuer, _, subject, spki = (der[begin:end] for _, begin, _, end in elements[:6])
    extensions: tuple[Extension, ...] = ()
    unique_ids = False
    for tag, _, start, end in elements[6:]:
        if tag == 0xA3:
            extensions = _read_extensions(der, *walk.only(der, start, end, walk.SEQUENCE))
        else:
            unique_ids = unique_ids or tag in (0x81, 0x82)
    return Layout(der[tbs:tbs_end], der[algorithm:algorithm_end], inner, issuer, subject, spki, extensions, unique_ids)


def _read_extensions(data: bytes, start: int, stop: int) -> tuple[Extension, ...]:
    found = walk.children(data, start, stop, MAX_EXTENSIONS)
    if any(element[0] != walk.SEQUENCE for element in found):
        raise walk.WalkError("an extension is not a SEQUENCE")
    return tuple([
        _shared(data[first:last]) if last - first <= _SHARED else read_extension(data[first:last]) for _, _, first, last in found
    ])  # fmt: skip


def read_extension(contents: bytes) -> Extension:
    """Read one Extension from the contents of its SEQUENCE.

    Raises:
        WalkError: malformed.
    """
    stop = len(contents)
    first, after = walk.expect(contents, 0, stop, walk.OID)
    name = _oid(contents[first:after])
    critical = False
    tag, inner, end = walk.element(contents, after, stop)
    if tag == _BOOLEAN:
        critical = contents[inner:end] != b"\x00"
        tag, inner, end = walk.element(contents, end, stop)
    if tag != walk.OCTET_STRING or end != stop:
        raise walk.WalkError("malformed extension")
    return Extension(name, contents[inner:end], critical=critical)


_shared = lru_cache(maxsize=1024)(read_extension)


def key_oids(spki: bytes) -> tuple[str, str]:
    """(algorithm OID, named-curve OID) of a SubjectPublicKeyInfo.

    The curve is empty when there are no parameters or they are NULL, ``explicit`` when they are anything else.

    Raises:
        WalkError: malformed.
    """
    start, stop = walk.whole(spki, walk.SEQUENCE)
    inner, end = walk.expect(spki, start, stop, walk.SEQUENCE)
    return _algorithm(spki[inner:end])


@lru_cache(maxsize=64)
def _algorithm(identifier: bytes) -> tuple[str, str]:
    end = len(identifier)
    first, after = walk.expect(identifier, 0, end, walk.OID)
    algorithm = _oid(identifier[first:after])
    if after == end:
        return algorithm, ""
    tag, begin, last = walk.element(identifier, after, end)
    if tag == 0x05:
        return algorithm, ""
    return algorithm, _oid(identifier[begin:last]) if tag == walk.OID else "explicit"


def key_kind(algorithm: str, curve: str) -> str:
    """``SM2``, ``RSA``, ``EC``, or the dotted OID of another kind of key."""
    if algorithm == OID_RSA:
        return "RSA"
    if algorithm == OID_EC_PUBLIC_KEY:
        return "SM2" if curve == OID_SM2_CURVE else "EC"
    return algorithm
