"""OCSP requests and responses, parsed by stricter rules than RFC 6960 demands.

``cryptography`` decides whether a response is well-formed. Certificate ids are read again from its octets, because
``cryptography`` does not know SM3 and exposes extensions of a SingleResponse only when there is one.

Sources: RFC 6960 clauses 3.2, 4.1, 4.2; RFC 8954 (nonce of 32 octets); GM/T 0014 (the same with SM3 and SM2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from cryptography.x509 import ocsp

from calock.core import libcrypto
from calock.core.certificates.certificate import Certificate
from calock.core.der import reader
from calock.core.der.containers import form_fault
from calock.core.der.layout import key_bits, read_extension
from calock.core.der.legacy_encodings import parse_error_text, readable_copy
from calock.core.der.names import NameKey, comparison_key
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.serials import without_sign_octet
from calock.core.revocation.signed_data import revocation_untrusted

MAX_SIZE = 64 * 1024
"""Octets of one response."""
MAX_SINGLE_RESPONSES = 64
MAX_CERTIFICATES = 8

OID_SHA1 = "1.3.14.3.2.26"
OID_SHA256 = "2.16.840.1.101.3.4.2.1"
OID_SM3 = "1.2.156.10197.1.401"
_OID_SM3_WITHOUT_KEY = "1.2.156.10197.1.401.1"
"""The same hash, in the other way of naming it that GM/T 0006 has."""
OID_NONCE = "1.3.6.1.5.5.7.48.1.2"
_BASIC = reader.encode(reader.OID, bytes.fromhex("2b0601050507300101"))
"""id-pkix-ocsp-basic."""

_HASHES = {
    OID_SHA1: bytes.fromhex("300906052b0e03021a0500"),
    OID_SHA256: bytes.fromhex("300d06096086480165030402010500"),
    OID_SM3: bytes.fromhex("300c06082a811ccf550183110500"),
}
"""AlgorithmIdentifiers of the CertIDs that we ask by."""

_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    OID_SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),  # an identifier, protected by the signature
    OID_SHA256: lambda data: hashlib.sha256(data).digest(),
    "2.16.840.1.101.3.4.2.2": lambda data: hashlib.sha384(data).digest(),
    "2.16.840.1.101.3.4.2.3": lambda data: hashlib.sha512(data).digest(),
    OID_SM3: libcrypto.sm3,
    _OID_SM3_WITHOUT_KEY: libcrypto.sm3,
}
"""Hashes by which an answer may name a certificate, also one that was not asked by them."""


class CertStatus(Enum):
    """CertStatus of RFC 6960 clause 4.2.1."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CertId:
    """Which certificate is meant: hashes of its issuer's name and key, and its serial (RFC 6960 clause 4.1.1)."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes
    serial: int


@dataclass(frozen=True, slots=True)
class SingleResponse:
    """One SingleResponse."""

    cert_id: CertId
    status: CertStatus
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None = None
    reason: int = 0
    """CRLReason code."""


@dataclass(frozen=True, slots=True)
class BasicOcspResponse:
    """A parsed BasicOCSPResponse. Its signature is not verified yet."""

    responses: tuple[SingleResponse, ...]
    produced_at: datetime
    responder_key: NameKey | None
    """The responder's name in the comparison form of RFC 5280 clause 7.1."""
    responder_key_hash: bytes | None
    certificates: tuple[Certificate, ...]
    nonce: bytes | None
    signature_algorithm: bytes
    tbs: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    sha256: str = ""


def digest(algorithm: str, data: bytes) -> bytes:
    """Hash with one of the algorithms that a CertID may name.

    Raises:
        Refusal: REVOCATION_UNTRUSTED for another one.
    """
    function = _DIGESTS.get(algorithm)
    if function is None:
        raise revocation_untrusted(f"certificate id by hash {algorithm}")
    return function(data)


def cert_id(issuer: Certificate, serial: int, algorithm: str = OID_SHA1) -> CertId:
    """Name a certificate of ``issuer``."""
    name_hash = digest(algorithm, issuer.subject_der)
    return CertId(algorithm, name_hash, digest(algorithm, key_bits(issuer.spki_der)), serial)


def names_certificate(found: CertId, issuer: Certificate, serial: int) -> bool:
    """Whether a CertID means this serial of this issuer: both hashes equal, and the serial, which may lack its sign octet."""
    if found.serial not in (serial, without_sign_octet(serial)) or found.algorithm not in _DIGESTS:
        return False
    try:
        return found == cert_id(issuer, found.serial, found.algorithm)
    except reader.DerError:
        return False  # a key that is no whole number of octets has no hash to be named by


def build_request(issuer: Certificate, serial: int, *, nonce: bytes, algorithm: str = OID_SHA1) -> bytes:
    """Encode an OCSPRequest for one certificate, the nonce (32 octets) in requestExtensions where RFC 9654 puts it.

    Raises:
        ValueError: nonce not of 32 octets.
    """
    if len(nonce) != 32:
        raise ValueError("the nonce has 32 octets")
    wanted = cert_id(issuer, serial, algorithm)
    encoded_id = reader.encode(
        reader.SEQUENCE,
        _HASHES[algorithm]
        + reader.encode(reader.OCTET_STRING, wanted.name_hash)
        + reader.encode(reader.OCTET_STRING, wanted.key_hash)
        + reader.encode_integer(serial),
    )
    nonce_oid = reader.encode(reader.OID, bytes.fromhex("2b0601050507300102"))
    extension = reader.encode(
        reader.SEQUENCE, nonce_oid + reader.encode(reader.OCTET_STRING, reader.encode(reader.OCTET_STRING, nonce))
    )
    requests = reader.encode(reader.SEQUENCE, reader.encode(reader.SEQUENCE, encoded_id))
    extensions = reader.encode(0xA2, reader.encode(reader.SEQUENCE, extension))
    return reader.encode(reader.SEQUENCE, reader.encode(reader.SEQUENCE, requests + extensions))


def read_response(data: bytes) -> BasicOcspResponse:
    """Parse an OCSPResponse (DER).

    Raises:
        Refusal: REVOCATION_UNTRUSTED, malformed or too large; REVOCATION_UNAVAILABLE, the responder answered with an error such
            as tryLater.
    """
    if len(data) > MAX_SIZE:
        raise revocation_untrusted(f"OCSP response of {len(data)} bytes; at most {MAX_SIZE}")
    other = form_fault(data)
    if other:
        raise revocation_untrusted(f"not an OCSP response: {other}")
    try:
        _require_answer(data)
        return _basic_response_of(data, _loaded(data))
    except Refusal:
        raise
    except Exception as error:  # beside ValueError some ten kinds, not all documented, on hostile octets
        raise revocation_untrusted(f"not an OCSP response: {parse_error_text(error)[:120]}") from error


def _require_answer(data: bytes) -> None:
    """Check that the responder says that it answers, and does."""
    start, stop = reader.whole(data)
    first, after = reader.expect(data, start, stop, reader.ENUMERATED)
    status = reader.integer(data[first:after])
    if status:
        said = {item.value: item.name.lower() for item in ocsp.OCSPResponseStatus}.get(status, f"status {status}")
        raise Refusal(Reason.REVOCATION_UNAVAILABLE, f"the OCSP responder answered {said}")
    if after == stop:
        raise reader.DerError("it says successful and holds no answer")


def _loaded(data: bytes) -> ocsp.OCSPResponse:
    try:
        return ocsp.load_der_ocsp_response(data)
    except ValueError:
        better = readable_copy(_basic_response_bytes(data))
        if better is None:
            raise
    start, stop = reader.whole(data)
    status = data[start : reader.element(data, start, stop)[2]]
    content = reader.encode(reader.SEQUENCE, _BASIC + reader.encode(reader.OCTET_STRING, better))
    return ocsp.load_der_ocsp_response(reader.encode(reader.SEQUENCE, status + reader.encode(0xA0, content)))


def _basic_response_of(data: bytes, parsed: ocsp.OCSPResponse) -> BasicOcspResponse:
    basic = _basic_response_bytes(data)
    start, end = reader.whole(basic)
    parts = reader.children(basic, start, end, 4)
    if len(parts) < 3 or parts[1][0] != reader.SEQUENCE:
        raise reader.DerError("BasicOCSPResponse")
    tbs = basic[parts[0][1] : parts[0][3]]
    return BasicOcspResponse(
        responses=_single_responses(tbs),
        produced_at=parsed.produced_at_utc,
        responder_key=_responder_key(basic[parts[0][2] : parts[0][3]]),
        responder_key_hash=parsed.responder_key_hash,
        certificates=_certificates(basic, parts[3:]),
        nonce=_nonce(tbs),
        signature_algorithm=basic[parts[1][1] : parts[1][3]],
        tbs=tbs,
        signature=parsed.signature,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _nonce(tbs: bytes) -> bytes | None:
    """The nonce among the responseExtensions of a ResponseData; None = there is none.

    Raises:
        Refusal: an extension that is critical and unknown.
    """
    found: bytes | None = None
    for tag, _, first, stop in reader.children(tbs, *reader.whole(tbs), 5)[2:]:
        if tag != 0xA1:
            continue
        start, end = reader.only(tbs, first, stop, reader.SEQUENCE)
        for _, begin, _, after in reader.children(tbs, start, end, 16):
            extension = read_extension(tbs[begin:after])
            if extension.oid == OID_NONCE:
                found = _nonce_octets(extension.value)
            elif extension.critical:
                raise revocation_untrusted(f"unknown critical OCSP extension {extension.oid}")
    return found


def _nonce_octets(value: bytes) -> bytes:
    """RFC 8954 puts the nonce into an OCTET STRING; responders of before leave that out."""
    try:
        start, stop = reader.whole(value, reader.OCTET_STRING)
    except reader.DerError:
        return value
    return value[start:stop]


def _responder_key(tbs: bytes) -> NameKey | None:
    """The name in a ResponseData's ``responderID [1]``; None when it is a key hash.

    Raises:
        DerError: not a name.
    """
    parts = reader.children(tbs, 0, len(tbs), 5)
    tag, _, first, stop = parts[1] if parts and parts[0][0] == 0xA0 else parts[0]  # after the version, if there is one
    return comparison_key(tbs[first:stop]) if tag == 0xA1 else None


def _basic_response_bytes(data: bytes) -> bytes:
    """Contents of responseBytes.response."""
    start, end = reader.whole(data)
    status, tagged = reader.children(data, start, end, 2)
    if status[0] != reader.ENUMERATED or tagged[0] != 0xA0:
        raise reader.DerError("OCSPResponse")
    first, stop = reader.only(data, tagged[2], tagged[3], reader.SEQUENCE)
    _, octets = reader.children(data, first, stop, 2)
    return data[octets[2] : octets[3]]


def _certificates(basic: bytes, tail: Sequence[tuple[int, int, int, int]]) -> tuple[Certificate, ...]:
    """Certificates sent along. One that cannot be parsed is left out: it cannot be the signer then."""
    found: list[Certificate] = []
    for _, _, first, stop in tail[:1]:
        inner, inner_end = reader.only(basic, first, stop, reader.SEQUENCE)
        for _, position, _, after in reader.children(basic, inner, inner_end, MAX_CERTIFICATES):
            try:
                found.append(Certificate.parse(basic[position:after]))
            except Refusal:
                continue
    return tuple(found)


def _single_responses(tbs: bytes) -> tuple[SingleResponse, ...]:
    """Read responses of a ResponseData: ``[0] version? · responderID [1]/[2] · producedAt · SEQUENCE OF SingleResponse``."""
    start, end = reader.whole(tbs)
    lists = [part for part in reader.children(tbs, start, end, 5) if part[0] == reader.SEQUENCE]
    if len(lists) != 1:
        raise reader.DerError("ResponseData")
    _, _, first, stop = lists[0]
    return tuple(
        _single_response(tbs, inner, inner_end)
        for tag, _, inner, inner_end in reader.children(tbs, first, stop, MAX_SINGLE_RESPONSES)
        if tag == reader.SEQUENCE or _wrong("SingleResponse")
    )


def _wrong(what: str) -> bool:
    raise reader.DerError(what)


def _single_response(tbs: bytes, start: int, end: int) -> SingleResponse:
    parts = reader.children(tbs, start, end, 5)
    if len(parts) < 3 or parts[0][0] != reader.SEQUENCE or parts[2][0] != reader.GENERALIZED_TIME:
        raise reader.DerError("SingleResponse")
    status, revoked_at, reason = _cert_status(tbs, parts[1])
    next_update = None
    for tag, _, first, stop in parts[3:]:
        if tag == 0xA0:
            inner, inner_end = reader.only(tbs, first, stop, reader.GENERALIZED_TIME)
            next_update = reader.time(reader.GENERALIZED_TIME, tbs[inner:inner_end])
        elif tag == 0xA1:
            _refuse_critical(tbs, first, stop)
        else:
            raise reader.DerError("SingleResponse")
    this_update = reader.time(reader.GENERALIZED_TIME, tbs[parts[2][2] : parts[2][3]])
    if next_update is not None and next_update < this_update:
        raise revocation_untrusted("OCSP answer whose nextUpdate is before its thisUpdate")
    return SingleResponse(_cert_id(tbs, parts[0][2], parts[0][3]), status, this_update, next_update, revoked_at, reason)


def _cert_id(tbs: bytes, start: int, end: int) -> CertId:
    parts = reader.children(tbs, start, end, 4)
    if [tag for tag, *_ in parts] != [reader.SEQUENCE, reader.OCTET_STRING, reader.OCTET_STRING, reader.INTEGER]:
        raise reader.DerError("CertID")
    first, stop = reader.expect(tbs, parts[0][2], parts[0][3], reader.OID)
    names, keys, serial = (tbs[item[2] : item[3]] for item in parts[1:])
    return CertId(reader.oid(tbs[first:stop]), names, keys, reader.integer(serial))


def _cert_status(tbs: bytes, part: tuple[int, int, int, int]) -> tuple[CertStatus, datetime | None, int]:
    tag, _, start, end = part
    if tag in (0x80, 0x82) and start == end:
        return (CertStatus.GOOD if tag == 0x80 else CertStatus.UNKNOWN), None, 0
    if tag != 0xA1:
        raise reader.DerError("CertStatus")
    inner = reader.children(tbs, start, end, 2)
    if not inner or inner[0][0] != reader.GENERALIZED_TIME:
        raise reader.DerError("RevokedInfo")
    moment = reader.time(reader.GENERALIZED_TIME, tbs[inner[0][2] : inner[0][3]])
    reason = 0
    if len(inner) == 2:
        first, stop = reader.only(tbs, inner[1][2], inner[1][3], reader.ENUMERATED)
        reason = reader.integer(tbs[first:stop])
    return CertStatus.REVOKED, moment, reason


def _refuse_critical(tbs: bytes, start: int, end: int) -> None:
    first, stop = reader.only(tbs, start, end, reader.SEQUENCE)
    for _, _, inner, inner_end in reader.children(tbs, first, stop, 16):
        parts = reader.children(tbs, inner, inner_end, 3)
        if len(parts) == 3 and tbs[parts[1][2] : parts[1][3]] == b"\xff":
            raise revocation_untrusted("unknown critical extension in an OCSP answer")
