"""The ring of the server's keys: for one purpose each, derived from each of its secrets by HKDF-SHA256 (RFC 5869).

A server may have several secrets, the newest first. The newest makes what is new; the others only recognise what they made
before, until ``calock manage rekey`` has made it anew. What is made names its key by a short id.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

Purpose = Literal[
    "challenge",
    "audit",
    "holder",
    "register",
    "approval",
    "revocation",
    "manifest",
    "imports",
    "certificates",
    "operators",
    "locks",
    "session",
    "browser",
    "tries",
    "egress",
    "applications",
    "grants",
    "oidc",
    "receipts",
    "contacts",
    "codes",
]
ID_LENGTH = 8


class Key(NamedTuple):
    id: str
    """``k`` and 7 hex digits. It tells the server's secrets apart and says nothing about them."""
    octets: bytes


@cache
def _derive(secret: str, purpose: str, length: int = 32) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=f"calock:{purpose}:v1".encode()).derive(secret.encode())


@cache
def _key(secret: str, purpose: Purpose) -> Key:
    return Key(f"k{_derive(secret, 'id', 4).hex()[: ID_LENGTH - 1]}", _derive(secret, purpose))


@cache
def ring(purpose: Purpose) -> tuple[Key, ...]:
    """The keys for ``purpose`` and for nothing else, the newest first. A process keeps the secrets that it began with."""
    return tuple(_key(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def key_for(purpose: Purpose) -> bytes:
    """The newest of them, 32 bytes: what is made now is made with it."""
    return ring(purpose)[0].octets


def key_ids() -> tuple[str, ...]:
    """Ids of the server's secrets, the newest first."""
    return tuple(key.id for key in ring("audit"))
