"""What is recorded at the moment of an act by lock. The audit row of the act names the SHA-256 of this record.

JSON in the form of RFC 8785: sorted keys, no spaces, UTF-8. All values are texts, lists of texts, or null.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import msgspec

VERSION = "1"


class Revocation(msgspec.Struct, frozen=True, rename="camel"):
    """What was known about the revocation of one certificate of the chain."""

    certificate: str
    """SHA-256, hex."""
    source: str
    """``crl``, ``ocsp``, ``stapled``; empty: the rules did not ask, or nothing was found."""
    evidence: str
    """SHA-256 of the CRL or OCSP answer, hex."""
    this_update: str
    next_update: str
    revoked_at: str
    detail: str


class Record(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One accepted answer of a lock."""

    version: str
    statement: str
    """The text whose digest the challenge carries (``calock.core.statement``)."""
    challenge: str
    token: str
    """SHA-256 of the answer as it was received, hex."""
    origin: str
    at: str
    """When it was judged, ISO 8601 in UTC: the moment for which certificates and revocation data count."""
    ip: str
    user_agent: str
    session: str
    """SHA-256 of the session's cookie, where the act belongs to one."""
    driver: str
    """``appVersion`` of the answer."""
    provider: str
    """Code of the recognised provider whose CA issued the certificate."""
    register: str
    """Fingerprint of the register of recognised CAs by which it was judged."""
    policy: str
    """SHA-256 of the provider's rules."""
    chain: tuple[str, ...]
    """SHA-256 of each certificate, the lock's first, the anchor last."""
    revocation: tuple[Revocation, ...]
    checks: tuple[tuple[str, str, str, str, str], ...]
    """Step, name, ``passed`` or ``skipped``, reason and detail of each check."""

    def octets(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


_decoder = msgspec.json.Decoder(Record)


def read_record(octets: bytes) -> Record:
    """Read a record.

    Raises:
        ValueError: it is none, or not in its canonical form.
    """
    found = _decoder.decode(octets)
    if found.octets() != octets:
        raise ValueError("not in canonical form")
    if datetime.fromisoformat(found.at).tzinfo is None:
        raise ValueError("a time without its zone")
    return found


def sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
