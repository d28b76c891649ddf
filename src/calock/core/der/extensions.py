"""Decoders of the extensions that verification uses. Each takes the DER inside the OCTET STRING and raises ``DerError``.

Source: RFC 5280 clause 4.2.1. A DEFAULT that is written out (``cA FALSE``, ``minimum 0``) is taken: real Finnish identity cards
carry the first, and it can be read in one way only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from calock.core.der import names, reader

_oid = lru_cache(maxsize=512)(reader.oid)

OID_BASIC_CONSTRAINTS = "2.5.29.19"
OID_KEY_USAGE = "2.5.29.15"
OID_EXTENDED_KEY_USAGE = "2.5.29.37"
OID_AUTHORITY_KEY_ID = "2.5.29.35"
OID_CERTIFICATE_POLICIES = "2.5.29.32"
OID_SUBJECT_ALT_NAME = "2.5.29.17"
OID_NAME_CONSTRAINTS = "2.5.29.30"

OID_SUBJECT_KEY_ID = "2.5.29.14"
OID_POLICY_MAPPINGS = "2.5.29.33"
OID_POLICY_CONSTRAINTS = "2.5.29.36"
OID_INHIBIT_ANY_POLICY = "2.5.29.54"

_NAMES = {
    OID_SUBJECT_KEY_ID: "subjectKeyIdentifier", OID_KEY_USAGE: "keyUsage", OID_SUBJECT_ALT_NAME: "subjectAltName",
    "2.5.29.18": "issuerAltName", OID_BASIC_CONSTRAINTS: "basicConstraints", OID_NAME_CONSTRAINTS: "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints", OID_CERTIFICATE_POLICIES: "certificatePolicies", OID_POLICY_MAPPINGS: "policyMappings",
    OID_AUTHORITY_KEY_ID: "authorityKeyIdentifier", OID_POLICY_CONSTRAINTS: "policyConstraints",
    OID_EXTENDED_KEY_USAGE: "extendedKeyUsage", "2.5.29.46": "freshestCRL", OID_INHIBIT_ANY_POLICY: "inhibitAnyPolicy",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess", "1.3.6.1.5.5.7.48.1.5": "ocspNoCheck",
    "2.5.29.20": "cRLNumber", "2.5.29.27": "deltaCRLIndicator", "2.5.29.28": "issuingDistributionPoint",
    "1.3.6.1.5.5.7.1.14": "proxyCertInfo", "1.3.6.1.5.5.7.1.7": "ipAddrBlocks", "1.3.6.1.5.5.7.1.8": "autonomousSysIds",
    "2.16.840.1.113730.1.1": "netscape-cert-type",
}  # fmt: skip


def extension_name(oid: str) -> str:
    """How a text for operators names an extension: its name and OID, or the OID alone."""
    return f"{_NAMES[oid]} ({oid})" if oid in _NAMES else oid


KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def basic_constraints(value: bytes) -> tuple[bool, int | None]:
    """(cA, pathLenConstraint)."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    is_ca, length = False, None
    if start < stop and value[start] == reader.BOOLEAN:
        first, start = reader.expect(value, start, stop, reader.BOOLEAN)
        is_ca = reader.boolean(value[first:start])
    if start < stop:
        first, start = reader.expect(value, start, stop, reader.INTEGER)
        length = small_integer(value[first:start])
    if start != stop:
        raise reader.DerError("bytes after basicConstraints")
    return is_ca, length


def small_integer(contents: bytes) -> int:
    """A non-negative INTEGER of at most eight octets."""
    value = reader.integer(contents)
    if value < 0 or len(contents) > 8:
        raise reader.DerError("negative or oversized INTEGER")
    return value


def key_usage(value: bytes) -> frozenset[str]:
    """Names that are set."""
    start, stop = reader.whole(value, reader.BIT_STRING)
    bits = reader.flags(value[start:stop])
    if not any(bits):
        raise reader.DerError("KeyUsage without a bit (clause 4.2.1.3)")
    return frozenset(name for name, bit in zip(KEY_USAGES, bits, strict=False) if bit)


def oid_list(value: bytes) -> tuple[str, ...]:
    """SEQUENCE OF OBJECT IDENTIFIER, not empty."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    found = []
    for tag, _, first, last in reader.children(value, start, stop):
        if tag != reader.OID:
            raise reader.DerError("an object identifier is wanted")
        found.append(_oid(value[first:last]))
    if not found:
        raise reader.DerError("empty list")
    return tuple(found)


def policy_oids(value: bytes) -> tuple[str, ...]:
    """CertificatePolicies: the policy identifiers, qualifiers left aside. A policy twice is malformed (clause 4.2.1.4)."""
    found = []
    start, stop = reader.whole(value, reader.SEQUENCE)
    for tag, _, first, last in reader.children(value, start, stop):
        if tag != reader.SEQUENCE:
            raise reader.DerError("malformed policy information")
        begin, end = reader.expect(value, first, last, reader.OID)
        found.append(_oid(value[begin:end]))
    if not found or len(set(found)) != len(found):
        raise reader.DerError("empty certificatePolicies, or a policy twice")
    return tuple(found)


def policy_mappings(value: bytes) -> tuple[tuple[str, str], ...]:
    """(issuerDomainPolicy, subjectDomainPolicy) pairs."""
    pairs = []
    start, stop = reader.whole(value, reader.SEQUENCE)
    for tag, begin, _, last in reader.children(value, start, stop):
        pair = oid_list(value[begin:last]) if tag == reader.SEQUENCE else ()
        if len(pair) != 2:
            raise reader.DerError("malformed policy mapping")
        pairs.append((pair[0], pair[1]))
    if not pairs:
        raise reader.DerError("empty policyMappings")
    return tuple(pairs)


def policy_constraints(value: bytes) -> tuple[int | None, int | None]:
    """(requireExplicitPolicy, inhibitPolicyMapping)."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    found: dict[int, int] = {}
    for tag, _, first, last in reader.children(value, start, stop):
        if tag not in (0x80, 0x81) or tag in found or 0x81 in found:
            raise reader.DerError("malformed policyConstraints")
        found[tag] = small_integer(value[first:last])
    if not found:
        raise reader.DerError("empty policyConstraints")
    return found.get(0x80), found.get(0x81)


def inhibit_any_policy(value: bytes) -> int:
    """SkipCerts."""
    start, stop = reader.whole(value, reader.INTEGER)
    return small_integer(value[start:stop])


def octets(value: bytes) -> str:
    """OCTET STRING as lower-case hex (SubjectKeyIdentifier)."""
    start, stop = reader.whole(value, reader.OCTET_STRING)
    return value[start:stop].hex()


def number(value: bytes) -> int:
    """INTEGER (CRLNumber, deltaCRLIndicator), never negative (RFC 5280 clause 5.2.3): zero octets in front change nothing."""
    start, stop = reader.whole(value, reader.INTEGER)
    if start == stop:
        raise reader.DerError("an INTEGER without octets")
    return int.from_bytes(value[start:stop], "big")


class NameConstraints(NamedTuple):
    """Which subtrees a nameConstraints extension holds. OpenSSL compares the names."""

    permitted: bool
    excluded: bool


def name_constraints(value: bytes) -> NameConstraints:
    """NameConstraints, as far as which lists of subtrees there are."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    parts = reader.children(value, start, stop, 2)
    tags = [tag for tag, *_ in parts]
    if tags not in ([0xA0], [0xA1], [0xA0, 0xA1]):
        raise reader.DerError("malformed nameConstraints")
    for _, _, first, last in parts:
        subtrees = reader.children(value, first, last)
        if not subtrees or any(tag != reader.SEQUENCE for tag, *_ in subtrees):
            raise reader.DerError("malformed subtrees")
    return NameConstraints(0xA0 in tags, 0xA1 in tags)


class AuthorityKey(NamedTuple):
    """An AuthorityKeyIdentifier."""

    key_id: str = ""
    """Lower-case hex; empty when it names issuer and serial number only."""
    alone: bool = False
    """It names the key by its identifier and by nothing else."""


NO_AUTHORITY_KEY = AuthorityKey()


def authority_key(value: bytes) -> AuthorityKey:
    """AuthorityKeyIdentifier."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    parts = reader.children(value, start, stop)
    key_id = next((value[first:last].hex() for tag, _, first, last in parts if tag == 0x80), "")
    return AuthorityKey(key_id, alone=len(parts) == 1 and key_id != "")


_OTHER, _RFC822, _DNS, _DIRECTORY, _EDI, _URI, _IP, _REGISTERED = 0xA0, 0x81, 0x82, 0xA4, 0xA5, 0x86, 0x87, 0x88
_X400 = 0xA3


def _check_general_name(tag: int, contents: bytes) -> None:
    """Check the structure of a GeneralName (clause 4.2.1.6); texts are looked at elsewhere.

    Raises:
        DerError: malformed.
    """
    if tag == _DIRECTORY:
        names.rdns_of(contents)
    elif tag == _REGISTERED:
        reader.oid(contents)
    elif tag == _OTHER:
        parts = reader.children(contents, 0, len(contents), 2)
        if [part for part, *_ in parts] != [reader.OID, 0xA0]:
            raise reader.DerError("malformed otherName")
    elif tag == _EDI:
        parts = reader.children(contents, 0, len(contents), 2)
        if [part for part, *_ in parts] not in ([0xA1], [0xA0, 0xA1]):
            raise reader.DerError("malformed ediPartyName")
    elif tag not in (_RFC822, _DNS, _URI, _IP, _X400):
        raise reader.DerError("a name of unknown kind")


def alternative_name_fault(value: bytes) -> str:
    """What is wrong with the texts of a SubjectAltName (clause 4.2.1.6); empty = nothing that we look at.

    Identity is never read from them. A name constraint of a CA above may be, so they must be what they claim to be.
    """
    start, stop = reader.whole(value, reader.SEQUENCE)
    elements = reader.children(value, start, stop)
    if not elements:
        return "it holds no name"
    for tag, _, first, last in elements:
        text = value[first:last]
        _check_general_name(tag, text)
        if tag in (_RFC822, _DNS, _URI) and not text.isascii():
            return "a name in it is not IA5String"
        if tag == _DNS and (not text or text.startswith(b".")):
            return "a dNSName in it is no domain name"
        if tag == _RFC822 and (text.count(b"@") != 1 or text.startswith(b"@") or text.endswith(b"@")):
            return "an rfc822Name in it is no mailbox"
        if tag == _IP and len(text) not in (4, 16):
            return "an iPAddress in it is no address"
    return ""


_DOMAIN = re.compile(rb"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def unclear_domain(value: bytes) -> bool:
    """Whether a SubjectAltName holds a domain, of a host or a mailbox, that validators and resolvers may read differently.

    A NUL, a blank or a full stop at its end keeps it from matching a name constraint that is meant for it; a wildcard may stand
    for a name that is excluded.
    """
    start, stop = reader.whole(value, reader.SEQUENCE)
    for tag, _, first, last in reader.children(value, start, stop):
        domain = value[first:last].rpartition(b"@")[2] if tag == _RFC822 else value[first:last]
        if tag in (_RFC822, _DNS) and not _DOMAIN.fullmatch(domain):
            return True
    return False


DECODERS: Mapping[str, Callable[[bytes], object]] = {
    OID_SUBJECT_KEY_ID: octets,
    OID_KEY_USAGE: key_usage,
    OID_SUBJECT_ALT_NAME: alternative_name_fault,
    OID_BASIC_CONSTRAINTS: basic_constraints,
    OID_NAME_CONSTRAINTS: name_constraints,
    OID_CERTIFICATE_POLICIES: policy_oids,
    OID_POLICY_MAPPINGS: policy_mappings,
    OID_AUTHORITY_KEY_ID: authority_key,
    OID_POLICY_CONSTRAINTS: policy_constraints,
    OID_EXTENDED_KEY_USAGE: oid_list,
    OID_INHIBIT_ANY_POLICY: inhibit_any_policy,
}
"""By OID, the decoders of the extensions whose value alone says what they mean."""
USED = frozenset({*DECODERS, "2.5.29.31"})
"""Extensions whose contents a step of verification uses; the last is cRLDistributionPoints.

Others may hold anything unless they are critical (RFC 5280 clause 4.2).
"""
