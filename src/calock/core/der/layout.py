"""Where the parts of a certificate lie: signed part, raw names, key and extensions (RFC 5280 clause 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from calock.core.der import reader
from calock.core.der.extensions import OID_SUBJECT_KEY_ID, USED

_VERSION, _EXTENSIONS = 0xA0, 0xA3
_FIELDS = [0x02, 0x30, 0x30, 0x30, 0x30, 0x30]
"""serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo."""
_UNIQUE_IDS = (0x81, 0x82, 0xA1, 0xA2)
_SHARED = 256
"""Extensions of at most so many octets are shared by the certificates that contain the same one."""

MAX_EXTENSIONS = 64
OID_EC_PUBLIC_KEY = "1.2.840.10045.2.1"
OID_SM2_CURVE = "1.2.156.10197.1.301"
OID_RSA = "1.2.840.113549.1.1.1"
OID_RSA_PSS = "1.2.840.113549.1.1.10"

NO_PARAMETERS = (b"", b"\x05\x00")
"""Absent or NULL: both are in the field beside SM2, RSA and ECDSA signatures, and neither changes what is verified."""

T = TypeVar("T")


class Extension:
    """One extension. ``value`` is the DER inside the OCTET STRING.

    Most extensions of a certificate are octet for octet those of every certificate of its CA. Such certificates share one object,
    whose value is decoded once.
    """

    __slots__ = ("_reader", "_result", "critical", "is_individual", "oid", "value")

    def __init__(self, oid: str, value: bytes, *, critical: bool) -> None:
        self.oid = oid
        self.critical = critical
        self.value = value
        self.is_individual = not critical and (oid not in USED or oid == OID_SUBJECT_KEY_ID)
        """Its contents may differ between the certificates of a CA, and no check of the extensions together depends on them."""
        self._reader: Callable[[bytes], Any] | None = None
        self._result: Any = None

    def read(self, reader: Callable[[bytes], T]) -> T:
        """Decode the value.

        Raises:
            DerError: as ``reader`` does.
        """
        if self._reader is not reader:
            self._result = reader(self.value)
            self._reader = reader
        result: T = self._result
        return result

    def __repr__(self) -> str:
        return f"<Extension {self.oid}{' critical' if self.critical else ''}>"


class CertificateLayout(NamedTuple):
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


_oid = lru_cache(maxsize=512)(reader.oid)
"""Certificates name the same few dozen identifiers."""


def read_layout(der: bytes) -> CertificateLayout:
    """Read the fields of a certificate.

    Raises:
        DerError: not in the order or form of RFC 5280.
    """
    outer = reader.bounds(der, *reader.whole(der), 3)
    if len(outer) != 4 or der[outer[0]] != reader.SEQUENCE or der[outer[1]] != reader.SEQUENCE:
        raise reader.DerError("not a certificate")
    tbs, algorithm, signature, _ = outer
    places = reader.bounds(der, *reader.only(der, tbs, algorithm, reader.SEQUENCE), 10)
    if der[places[0]] == _VERSION:
        del places[0]
    if len(places) < 7 or [der[place] for place in places[:6]] != _FIELDS:
        raise reader.DerError("fields of the certificate are not in order")
    _, inner, issuer, dates, subject, spki, after, *rest = places
    extensions: tuple[Extension, ...] = ()
    unique_ids = False
    for begin, end in pairwise((after, *rest)):
        if der[begin] == _EXTENSIONS:
            extensions = _read_extensions(der, *reader.only(der, *reader.only(der, begin, end, _EXTENSIONS), reader.SEQUENCE))
        else:
            unique_ids = unique_ids or der[begin] in _UNIQUE_IDS
    return CertificateLayout(
        der[tbs:algorithm], der[algorithm:signature], der[inner:issuer], der[issuer:dates], der[subject:spki], der[spki:after],
        extensions, unique_ids,
    )  # fmt: skip


def _read_extensions(data: bytes, start: int, stop: int) -> tuple[Extension, ...]:
    return tuple([
        _shared(data[first:last]) if last - first <= _SHARED else read_extension(data[first:last])
        for first, last in pairwise(reader.bounds(data, start, stop, MAX_EXTENSIONS))
    ])  # fmt: skip


def read_extension(extension: bytes) -> Extension:
    """Read one Extension (DER).

    Raises:
        DerError: malformed.
    """
    start, stop = reader.whole(extension, reader.SEQUENCE)
    first, after = reader.expect(extension, start, stop, reader.OID)
    name = _oid(extension[first:after])
    critical = False
    tag, inner, end = reader.element(extension, after, stop)
    if tag == reader.BOOLEAN:
        critical = reader.boolean(extension[inner:end])
        tag, inner, end = reader.element(extension, end, stop)
    if tag != reader.OCTET_STRING or end != stop:
        raise reader.DerError("malformed extension")
    return Extension(name, extension[inner:end], critical=critical)


_shared = lru_cache(maxsize=1024)(read_extension)


def key_oids(spki: bytes) -> tuple[str, str]:
    """(algorithm OID, named-curve OID) of a SubjectPublicKeyInfo.

    The curve is empty when there are no parameters or they are NULL, ``explicit`` when they are anything else.

    Raises:
        DerError: malformed.
    """
    start, stop = reader.whole(spki, reader.SEQUENCE)
    inner, end = reader.expect(spki, start, stop, reader.SEQUENCE)
    return _algorithm(spki[inner:end])


def signature_algorithm(identifier: bytes) -> tuple[str, bytes]:
    """Dotted OID and parameters (DER) of an AlgorithmIdentifier (DER).

    Raises:
        DerError: malformed; never for one that ``cryptography`` has read.
    """
    start, end = reader.whole(identifier)
    first, stop = reader.expect(identifier, start, end, reader.OID)
    return _oid(identifier[first:stop]), identifier[stop:end]


@lru_cache(maxsize=64)
def _algorithm(identifier: bytes) -> tuple[str, str]:
    end = len(identifier)
    first, after = reader.expect(identifier, 0, end, reader.OID)
    algorithm = _oid(identifier[first:after])
    if after == end:
        return algorithm, ""
    tag, begin, last = reader.element(identifier, after, end)
    if tag == 0x05:
        return algorithm, ""
    return algorithm, _oid(identifier[begin:last]) if tag == reader.OID else "explicit"


@lru_cache(maxsize=4096)
def key_bits(spki_der: bytes) -> bytes:
    """The public key's bits without tag, length and unused-bits octet, which OCSP hashes (RFC 6960 clause 4.1.1).

    Raises:
        DerError: malformed, or no whole number of octets.
    """
    start, end = reader.whole(spki_der)
    bits = reader.children(spki_der, start, end, 2)[-1]
    if bits[0] != reader.BIT_STRING or bits[3] - bits[2] < 2 or spki_der[bits[2]] != 0:
        raise reader.DerError("subjectPublicKey")
    return spki_der[bits[2] + 1 : bits[3]]


def key_kind(algorithm: str, curve: str) -> str:
    """``SM2``, ``RSA``, ``EC``, or the dotted OID of another kind of key."""
    if algorithm == OID_RSA:
        return "RSA"
    if algorithm == OID_EC_PUBLIC_KEY:
        return "SM2" if curve == OID_SM2_CURVE else "EC"
    return algorithm
