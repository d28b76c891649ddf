"""The hash tree over a batch of rows and the signed head on top of it.

Tree after RFC 9162 clause 2.1.1 (SHA-256, 0x00 before a leaf, 0x01 before a node). Heads are chained, and signed with Ed25519 by a
key that lies in the data directory, not in the database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from calock.server.audit.canonical import canonical
from calock.server.audit.models import AuditEvent, AuditSeal
from calock.server.tools.files import make_once
from calock.server.tools.seals import octets

SEAL_KEY = "audit-seal.key"


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

    def is_signed_by_one_of(self, keys: Container[str]) -> bool:
        """Whether the key that it names is one of these (raw, hex) and made the signature."""
        return self.key in keys and is_signed(self.signed_bytes(), self.signature, self.key)


def leaves_of(seal: AuditSeal) -> dict[int, bytes]:
    """The leaf of each row that a seal holds, by the row's id."""
    packed = bytes(seal.leaves)
    return {int.from_bytes(packed[at : at + 8], "big"): packed[at + 8 : at + 40] for at in range(0, len(packed), 40)}


def vouches(head: Head, leaves: Mapping[int, bytes]) -> bool:
    """Whether these are the leaves that the head's root stands for."""
    return bool(leaves) and root(list(leaves.values())).hex() == head.root


def digest_of(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


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


def is_signed(content: bytes, signature: str, public_key: str) -> bool:
    """Whether the Ed25519 signature (hex) is the one of this key (raw, hex). Both may be anything."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def own_key(data: Path) -> str:
    """The public key of this machine; empty when it has none, because it never sealed."""
    return public_hex(seal_key(data)) if (data / SEAL_KEY).exists() else ""


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
