"""Practice CAs and locks that really sign, as values: no server, no database."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from calock.core.certificates.signatures import signed_message
from calock.demo import pki

HOST = "shanxi.localhost:8000"
ORIGIN = f"http://{HOST}"
NOW = datetime.now(UTC).replace(microsecond=0)
YEARS = timedelta(days=3650)
NAMES = {"SM2": "SM2", "EC": "ES256", "RSA": "RS256"}


@dataclass(frozen=True)
class Family:
    """A provider's two CAs: a root that is an anchor, and the CA below it that issues locks."""

    provider: str
    root: pki.Authority
    issuing: pki.Authority

    def __deepcopy__(self, _: Any) -> Family:
        return self


def family(algorithm: str, provider: str = "") -> Family:
    return _family(algorithm, provider)


@cache
def _family(algorithm: str, provider: str) -> Family:
    root = pki.make_root(f"{provider}{algorithm} root", algorithm, not_before=NOW - YEARS, not_after=NOW + YEARS)
    return Family(
        provider or f"lianxi-{algorithm.lower()}",
        root,
        root.intermediate(f"{provider}{algorithm} issuing", not_before=NOW - YEARS, not_after=NOW + YEARS),
    )


@cache
def spare_key(algorithm: str, number: int) -> pki.Key:
    """Keys are slow to make, RSA above all: the same few are used by every test."""
    return pki.make_key(algorithm)


@dataclass
class PracticeLock:
    """A key with its certificate: what stands in a real lock."""

    key: pki.Key
    certificate: bytes
    family: Family

    def sign(self, challenge: str, *, origin: str = ORIGIN, algorithm: str = "", message: bytes | None = None) -> dict[str, Any]:
        """The Web eID token for a challenge."""
        name = algorithm or NAMES[self.key.algorithm]
        text = message if message is not None else signed_message(NAMES[self.key.algorithm], origin, challenge)
        return {
            "format": "web-eid:1.0",
            "unverifiedCertificate": base64.b64encode(self.certificate).decode(),
            "algorithm": name,
            "signature": base64.b64encode(_raw(self.key, text)).decode(),
        }


def _raw(key: pki.Key, message: bytes) -> bytes:
    if key.algorithm == "RSA":
        private = serialization.load_der_private_key(key.private_pkcs8, None, unsafe_skip_rsa_key_validation=True)
        return private.sign(message, padding.PKCS1v15(), hashes.SHA256())
    if key.algorithm == "EC":
        private = serialization.load_der_private_key(key.private_pkcs8, None)
        der = private.sign(message, ec.ECDSA(hashes.SHA256()))
    else:
        der = key.sign(message)
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_lock(
    algorithm: str = "SM2",
    *,
    number: int = 0,
    lock_id: str = "SX-0001",
    provider: str = "",
    name: str = "测试单位_张三",
    not_before: datetime = NOW - timedelta(days=100),
    not_after: datetime = NOW + timedelta(days=300),
    **fields: Any,
) -> PracticeLock:
    owner = family(algorithm, provider)
    key = spare_key(algorithm, number)
    certificate = owner.issuing.issue_lock(name, key, not_before=not_before, not_after=not_after, lock_id=lock_id, **fields)
    return PracticeLock(key, certificate, owner)


def id_card(body: str) -> str:
    """Complete 17 digits of a citizen identity number with the check digit (GB 11643)."""
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[total % 11]
