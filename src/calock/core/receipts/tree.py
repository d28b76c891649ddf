"""A row's place in the audit tree: its proof of inclusion (RFC 9162 clause 2.1.3)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from calock.core.trail.heads import node, root


class ProofStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step up: the other hash of the pair, and on which side it stands."""

    side: str
    """``left`` or ``right``."""
    hash: str
    """Hex."""


def proof_of(leaves: Sequence[bytes], place: int) -> tuple[ProofStep, ...]:
    """The steps from the leaf at ``place`` to the root, the lowest first."""
    if len(leaves) == 1:
        return ()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if place < split:
        return (*proof_of(leaves[:split], place), ProofStep("right", root(leaves[split:]).hex()))
    return (*proof_of(leaves[split:], place - split), ProofStep("left", root(leaves[:split]).hex()))


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
