"""Rows as leaves of the hash tree (:mod:`calock.core.trail.heads`), and this machine's key, which signs the heads.

The key lies in the data directory, not in the database.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from calock.core.trail.heads import leaf_of
from calock.server.audit.canonical import canonical
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.tools.files import make_once

SEAL_KEY = "audit-seal.key"
TRAIL = "audit-trail"


def leaf(row: AuditEvent, *, intact: bool = True) -> bytes:
    """The row's leaf. ``intact``: whether its MAC fitted when it was sealed."""
    return leaf_of(row.pk, row.mac, canonical(row), intact=intact)


def leaves_of(seal: AuditSeal) -> dict[int, bytes]:
    """The leaf of each row that a seal holds, by the row's id."""
    packed = bytes(seal.leaves)
    return {int.from_bytes(packed[at : at + 8], "big"): packed[at + 8 : at + 40] for at in range(0, len(packed), 40)}


def seal_key(data: Path) -> Ed25519PrivateKey:
    """The signing key in ``data/audit-seal.key``, made at its first use."""
    path = data / SEAL_KEY
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        make_once(path, text)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} does not hold an Ed25519 key")
    return key


def own_key(data: Path) -> str:
    """The public key of this machine; empty when it has none, because it never sealed."""
    return public_hex(seal_key(data)) if (data / SEAL_KEY).exists() else ""


def own_trail(data: Path) -> str:
    """The first key of the trail that this machine belongs to, as it noted itself outside the database; empty: none yet."""
    path = data / TRAIL
    return path.read_text().strip() if path.exists() else ""


def note_trail(data: Path, first: str) -> None:
    """Note for good to which trail this machine belongs: writing to the database does not move it to another."""
    if not (data / TRAIL).exists():
        make_once(data / TRAIL, f"{first}\n".encode())


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
