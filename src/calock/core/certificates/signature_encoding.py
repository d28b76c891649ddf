"""SM2 and ECDSA signatures that are not written in DER, although r and s can be read in one way only.

A signature is SEQUENCE {r INTEGER, s INTEGER} (RFC 3279 clause 2.2.3, GM/T 0009 clause 7.3), each number in as few octets as
possible (X.690 clause 8.3.2). CAs whose hardware hands r and s out in fixed octets write them as follows; OpenSSL, Go and Java
refuse it:

* leading zero octets too many: r or s was shorter than its fixed octets (1 signature in 256 for each number and octet);
* a missing sign octet: the first octet is 80 or more, which INTEGER reads as a negative number. r and s are never negative
  (FIPS 186-5 clause 6.4, GB/T 32918.2 clause 7), so the unsigned number is the only one that can be meant. The writer counts
  the octet that it left out, so for each one missing a stray octet may follow; more are refused;
* r‖s without any DER, in exactly twice 32, 48 or 66 octets.

The rule ``signature_encoding`` of a provider allows these forms, and nothing else about a signature: the signature must hold
over the original octets. Every other form stays refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from calock.core.certificates.certificate import Certificate
from calock.core.der import reader
from calock.core.libcrypto import sm2_verify
from calock.core.policy import by_rule

NOT_HELD = "the signature does not hold"
_RAW_SIZES = frozenset({64, 96, 132})
_ECDSA_OR_SM2 = ("1.2.840.10045.4.", "1.2.156.10197.1.501")


class DssSignature(NamedTuple):
    """An SM2 or ECDSA signature as it was read."""

    der: bytes
    """The same numbers in DER."""
    fault: str
    """How it was written otherwise; empty = in DER."""


def read_dss_signature(signature: bytes) -> DssSignature | None:
    """Read r and s of a signature in DER or in one of the forms above; None = in none of them."""
    try:
        found = _read_sequence(signature)
    except reader.DerError:
        found = None
    if found is None and len(signature) in _RAW_SIZES:
        half = len(signature) // 2
        return _signature(signature[:half], signature[half:], "r‖s without DER")
    return found


def _read_sequence(signature: bytes) -> DssSignature | None:
    tag, start, stop = reader.element(signature, 0, len(signature))
    if tag != reader.SEQUENCE:
        return None
    first, after = reader.expect(signature, start, stop, reader.INTEGER)
    second, end = reader.expect(signature, after, stop, reader.INTEGER)
    r, s = signature[first:after], signature[second:end]
    missing = [number[:1] >= b"\x80" for number in (r, s)]
    stray = len(signature) - end
    if not r or not s or stray > sum(missing):
        return None
    faults = [_number_fault(name, number) for name, number in (("r", r), ("s", s))]
    return _signature(r, s, ", ".join([*filter(None, faults), *["a stray octet behind them"] * (stray > 0)]))


def _number_fault(name: str, contents: bytes) -> str:
    if contents[0] >= 0x80:
        return f"{name} lacks its sign octet"
    if len(contents) > 1 and contents[0] == 0 and contents[1] < 0x80:
        return f"{name} has a leading zero octet too many"
    return ""


def _signature(r: bytes, s: bytes, fault: str) -> DssSignature:
    numbers = reader.encode_integer(int.from_bytes(r, "big")) + reader.encode_integer(int.from_bytes(s, "big"))
    return DssSignature(reader.encode(reader.SEQUENCE, numbers), fault)


def encoding_fault_text(fault: str) -> str:
    """For operators: a signature that holds, and whose encoding is refused."""
    return by_rule(f"the signature holds but is not DER: {fault}", "signature_encoding")


def signature_fault(holds: Callable[[bytes], bool], signature: bytes, *, tolerant: bool) -> str:
    """Why an SM2 or ECDSA signature is not accepted; empty = it is. ``holds`` verifies one in DER."""
    if holds(signature):
        return ""
    read = read_dss_signature(signature)
    if read is None or not read.fault or not holds(read.der):
        return NOT_HELD
    return "" if tolerant else encoding_fault_text(read.fault)


def signer_id_fault(spki_der: bytes, message: bytes, signature: bytes) -> str:
    """In words that an SM2 signature was made with the empty signer ID, as programs do that set none; empty = it was not."""
    made = sm2_verify(spki_der, signature, message, b"")
    return "it is signed with an empty SM2 signer ID; GM/T 0009 wants 1234567812345678" if made else ""


def signature_encoding_fault(certificate: Certificate) -> str:
    """How the signature of a certificate is written otherwise than in DER; empty = it is DER, or no reading of it is known."""
    read = _signature_of(certificate)
    return read.fault if read is not None else ""


def with_der_signature(certificate: Certificate) -> bytes:
    """The certificate with its signature in DER, for libraries that read no other; the original when it is, or cannot be read."""
    read = _signature_of(certificate)
    if read is None or not read.fault:
        return certificate.der
    bits = reader.encode(reader.BIT_STRING, b"\0" + read.der)
    return reader.encode(reader.SEQUENCE, certificate.tbs + certificate.algorithm_der + bits)


def _signature_of(certificate: Certificate) -> DssSignature | None:
    return read_dss_signature(certificate.parsed.signature) if certificate.signature_algorithm.startswith(_ECDSA_OR_SM2) else None
