"""Decoders of the extensions that verification uses. Each takes the DER inside the OCTET STRING and raises ``DerError``.

Source: RFC 5280 clause 4.2.1. An explicitly written DEFAULT in basicConstraints (``cA FALSE``) is taken, as real Finnish identity
cards carry it and it cannot be read in two ways.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from calock.core.der import reader

_BOOLEAN = 0x01
_oid = lru_cache(maxsize=512)(reader.oid)

OID_BASIC_CONSTRAINTS = "2.5.29.19"
OID_KEY_USAGE = "2.5.29.15"
OID_EXTENDED_KEY_USAGE = "2.5.29.37"
OID_AUTHORITY_KEY_ID = "2.5.29.35"
OID_CERTIFICATE_POLICIES = "2.5.29.32"
OID_SUBJECT_ALT_NAME = "2.5.29.17"
OID_NAME_CONSTRAINTS = "2.5.29.30"

KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def basic_constraints(value: bytes) -> tuple[bool, int | None]:
    """(cA, pathLenConstraint)."""
    start, stop = reader.whole(value, reader.SEQUENCE)
    is_ca, length = False, None
    if start < stop and value[start] == _BOOLEAN:
        first, start = reader.expect(value, start, stop, _BOOLEAN)
        if value[first:start] not in (b"\x00", b"\xff"):
            raise reader.DerError("malformed BOOLEAN")
        is_ca = value[first] == 0xFF
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
    contents = value[start:stop]
    if not contents or contents[0] > 7 or (len(contents) == 1 and contents[0]) or len(contents) > 3:
        raise reader.DerError("malformed KeyUsage")
    bits = [octet >> shift & 1 for octet in contents[1:] for shift in range(7, -1, -1)]
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


_RFC822, _DNS, _URI = 0x81, 0x82, 0x86


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
        if tag in (_RFC822, _DNS, _URI) and not text.isascii():
            return "a name in it is not IA5String"
        if tag == _DNS and (not text or text.startswith(b".")):
            return "a dNSName in it is no domain name"
        if tag == _RFC822 and (text.count(b"@") != 1 or text.startswith(b"@") or text.endswith(b"@")):
            return "an rfc822Name in it is no mailbox"
    return ""


_DOMAIN = re.compile(rb"[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*")


def unclear_domain(value: bytes) -> bool:
    """Whether a SubjectAltName holds a domain, of a host or a mailbox, that validators and resolvers may read differently.

    A NUL, a blank or a full stop at its end keeps it from matching a name constraint that is meant for it.
    """
    start, stop = reader.whole(value, reader.SEQUENCE)
    for tag, _, first, last in reader.children(value, start, stop):
        domain = value[first:last].rpartition(b"@")[2] if tag == _RFC822 else value[first:last]
        if tag in (_RFC822, _DNS) and not _DOMAIN.fullmatch(domain):
            return True
    return False
