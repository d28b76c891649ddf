"""The hash tree over a batch of rows and the signed head on top of it.

Tree after RFC 9162 clause 2.1.1 (SHA-256, 0x00 before a leaf, 0x01 before a node). Heads are chained, and signed with Ed25519 by a
key that lies in the data directory, not in the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from calock.server.audit.canonical import canonical
from calock.server.audit.models import AuditEvent
from calock.server.tools.files import make_once
from calock.server.tools.seals import octets


def leaf(row: AuditEvent, *, intact: bool = True) -> bytes:
    """SHA-256 over the row's id, its canonical bytes and its MAC. ``intact``: whether the MAC fitted when the row was sealed.

    A seal so says for ever what its MAC cannot once the secret is gone: that the server wrote the row.
    """
    return hashlib.sha256((b"\x00" if intact else b"\x02") + row.pk.to_bytes(8, "big") + octets(row.mac) + canonical(row)).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of at least one leaf."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """What is signed. ``previous`` is the SHA-256 of the head before, as its line was written; empty for the first."""

    seq: int
    first: int
    last: int
    count: int
    root: str
    previous: str
    at: str
    key: str
    signature: str = ""

    def signed_bytes(self) -> bytes:
        values = asdict(self)
        del values["signature"]
        return b"calock audit head v1\n" + json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def line(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def of_line(cls, line: str) -> Head:
        """Read a line.

        Raises:
            ValueError: it is not a head.
        """
        try:
            return msgspec.convert(json.loads(line), cls)
        except msgspec.ValidationError as error:
            raise ValueError("not an audit head") from error

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the signature is the one of this key (raw, hex)."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
            key.verify(bytes.fromhex(self.signature), self.signed_bytes())
        except (InvalidSignature, ValueError):
            return False
        return self.key == public_key


def digest_of(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def seal_key(data: Path) -> Ed25519PrivateKey:
    """The signing key in ``data/audit-seal.key``, made at its first use."""
    path = data / "audit-seal.key"
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        text = made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        make_once(path, text)
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} does not hold an Ed25519 key")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
