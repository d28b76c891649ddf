"""A row's place in the audit tree: its proof of inclusion (RFC 9162 clause 2.1.3) and the signed head above it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

HEAD_PREFIX = b"calock audit head v1\n"


class ProofStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step up: the other hash of the pair, and on which side it stands."""

    side: str
    """``left`` or ``right``."""
    hash: str
    """Hex."""


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of at least one leaf."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node(tree_root(leaves[:split]), tree_root(leaves[split:]))


def proof_of(leaves: Sequence[bytes], place: int) -> tuple[ProofStep, ...]:
    """The steps from the leaf at ``place`` to the root, the lowest first."""
    if len(leaves) == 1:
        return ()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if place < split:
        return (*proof_of(leaves[:split], place), ProofStep("right", tree_root(leaves[split:]).hex()))
    return (*proof_of(leaves[split:], place - split), ProofStep("left", tree_root(leaves[:split]).hex()))


def climb(leaf: bytes, steps: Sequence[ProofStep]) -> bytes:
    """The root that a leaf and its steps lead to.

    Raises:
        ValueError: a step that is none.
    """
    for step in steps:
        other = bytes.fromhex(step.hash)
        if step.side not in ("left", "right") or len(other) != 32:
            raise ValueError("no step of a proof")
        leaf = node(other, leaf) if step.side == "left" else node(leaf, other)
    return leaf


def signed_by(content: bytes, signature: bytes, key_hex: str) -> bool:
    """Whether the Ed25519 signature is the one of this key (raw, hex)."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key_hex)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
