"""The hash tree over a batch of audit rows and the signed head on top of it.

Tree after RFC 9162 clause 2.1.1 (SHA-256, 0x00 before a leaf, 0x01 before a node). Heads are chained, and signed with Ed25519.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEAD_PREFIX = b"calock audit head v1\n"


def leaf_content(number: int, mac: str, content: bytes, *, intact: bool) -> bytes:
    """What a leaf is the SHA-256 of: a row's id, its MAC and its canonical bytes.

    ``intact``: whether the MAC fitted when the row was sealed. A seal so says for ever what its MAC cannot once the secret is gone:
    that the server wrote the row.
    """
    return (b"\x00" if intact else b"\x02") + number.to_bytes(8, "big") + _octets(mac) + content


def leaf_of(number: int, mac: str, content: bytes, *, intact: bool) -> bytes:
    """The leaf of a row: SHA-256 over ``leaf_content``."""
    return hashlib.sha256(leaf_content(number, mac, content, intact=intact)).digest()


def _octets(mac: str) -> bytes:
    """A MAC as octets; of one that names its key, and of what is none, its text."""
    try:
        return bytes.fromhex(mac)
    except ValueError:
        return mac.encode(errors="replace")


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of at least one leaf."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(root(leaves[:split]), root(leaves[split:]))


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
        return HEAD_PREFIX + json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

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
        except (msgspec.ValidationError, RecursionError) as error:
            raise ValueError("not an audit head") from error

    def is_signed_by_one_of(self, keys: Container[str]) -> bool:
        """Whether the key that it names is one of these (raw, hex) and made the signature."""
        return self.key in keys and is_signed(self.signed_bytes(), self.signature, self.key)


def vouches(head: Head, leaves: Mapping[int, bytes]) -> bool:
    """Whether these are the leaves that the head's root stands for, by the rows' ids."""
    return bool(leaves) and root(list(leaves.values())).hex() == head.root


def digest_of(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()


def is_signed(content: bytes, signature: str, public_key: str) -> bool:
    """Whether the Ed25519 signature (hex) is the one of this key (raw, hex). Both may be anything."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_statement(details: Mapping[str, object]) -> bytes:
    """What a sealing key signs that joins a trail: the details of the row that enters it."""
    told = {name: details.get(name) for name in ("key", "trail", "took_over")}
    return b"calock audit sealing key v1\n" + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
