"""The driver's key: how a driver shows that it is the one a person used before, and how that is checked.

Each installation has a key pair for each platform's origin. A proof is a signature by that key over what is asked and answered:
``hello`` over a nonce of the page, an answer over the server's challenge. The text that is signed is
``calock-driver-1``, purpose, origin, port, version and nonce, joined by line feeds, in UTF-8; the signature is ECDSA on P-256 with
SHA-256, r‖s (RFC 7518 clause 3.4), because every browser's WebCrypto verifies that. docs/protocol.md, "The driver's key".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal

import msgspec

from calock.core.certificates import signatures
from calock.core.refusals import Reason, Refusal

ALGORITHM = "ES256"
Purpose = Literal["hello", "answer"]
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How a SubjectPublicKeyInfo of an uncompressed point on P-256 begins (RFC 5480 clause 2)."""


class DriverProof(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver says of itself with its key. Everything in it is unverified until ``verify_proof``."""

    key: str
    """Base64 DER of the SubjectPublicKeyInfo."""
    port: int
    """Port at which it was asked."""
    version: str
    signature: str
    """Base64 of r‖s."""


def signed_text(purpose: Purpose, *, origin: str, port: int, version: str, nonce: str) -> bytes:
    """What the driver signs. No part can hold a line feed: the callers' checks of each see to that."""
    return "\n".join(("calock-driver-1", purpose, origin, str(port), version, nonce)).encode()


def verify_proof(proof: DriverProof, purpose: Purpose, *, origin: str, nonce: str) -> str:
    """Check a proof; ``origin`` is one's own, ``nonce`` what oneself asked with.

    Returns:
        The key's fingerprint: SHA-256 of its SubjectPublicKeyInfo in lower-case hex. Remember this, compare it next time.

    Raises:
        Refusal: DRIVER_KEY_INVALID.
    """
    try:
        spki = base64.b64decode(proof.key, validate=True)
        signature = base64.b64decode(proof.signature, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.DRIVER_KEY_INVALID, "not base64") from error
    if len(spki) != len(_P256) + 64 or not spki.startswith(_P256) or "\n" in proof.version:
        raise Refusal(Reason.DRIVER_KEY_INVALID, "not a P-256 key")
    text = signed_text(purpose, origin=origin, port=proof.port, version=proof.version, nonce=nonce)
    try:
        signatures.verify(spki, ALGORITHM, text, signature)
    except Refusal as refusal:
        raise Refusal(Reason.DRIVER_KEY_INVALID, "the signature does not hold") from refusal
    return hashlib.sha256(spki).hexdigest()
