"""Keys for one purpose each, derived from the server's secret by HKDF-SHA256 (RFC 5869)."""

from __future__ import annotations

from functools import cache
from typing import Literal

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
    "certificates",
    "operators",
    "session",
    "browser",
    "tries",
]


@cache
def _derive(secret: str, purpose: Purpose) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"calock:{purpose}:v1".encode()).derive(secret.encode())


def key_for(purpose: Purpose) -> bytes:
    """32 bytes that are used for ``purpose`` and for nothing else."""
    return _derive(settings.SECRET_KEY, purpose)
