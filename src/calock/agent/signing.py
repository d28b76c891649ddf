"""What a lock signs for a login, and the check of what it returned. This is the only construction that is ever signed.

Web eID 1.0: ``signature = Sign(hash(origin) ‖ hash(challenge text))`` with the hash of the algorithm. Ours for SM2: both inner
hashes are SM3, the signature is SM2 with SM3 and the standard signer ID.

Sources: Web eID system architecture, "authentication token specification"; GM/T 0009 clauses 8.1, 8.2 (e); RFC 8017 clause 9.2
note 1 (DigestInfo); RFC 7518 clause 3.4 (r‖s).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.libcrypto import sm2_digest, sm2_public_key_valid
from calock.core.refusals import Reason, Refusal

_CHALLENGE = re.compile(r"[A-Za-z0-9+/=._~-]{44,128}")
"""Web eID's bounds; the alphabet covers base64, base64url and calock's own ``c1.…``."""
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_DIGEST_INFO_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True, slots=True)
class SigningInput:
    """What a lock signs in one login. Made by :func:`prepare` only, so that no caller can have a hash of its own signed."""

    algorithm: str
    """``SM2``, ``ES256``, ``ES384``, ``ES512`` or ``RS256``."""
    message: bytes
    """M = hash(origin) ‖ hash(challenge)."""
    e: bytes
    """What the lock's raw operation takes: SM2: SM3(Z ‖ M); ECDSA: hash(M); RSA: DER DigestInfo of hash(M)."""


def check_challenge(challenge: str) -> None:
    """Refuse text that is no challenge, before a PIN is asked for.

    Raises:
        Refusal: CHALLENGE_MALFORMED.
    """
    if not _CHALLENGE.fullmatch(challenge):
        raise Refusal(Reason.CHALLENGE_MALFORMED, "a challenge is 44 to 128 characters of base64, '.', '~' or '-'")


def algorithm_of(certificate: Certificate) -> str:
    """Return the one algorithm used with this certificate's key: it follows from the key and cannot be chosen.

    Raises:
        Refusal: KEY_NOT_ALLOWED; KEY_WEAK, an SM2 key in another form than GM/T 0009 has, or none of that curve.
    """
    if certificate.algorithm == "SM2":
        if not sm2_public_key_valid(certificate.spki_der):
            raise Refusal(Reason.KEY_WEAK, "not an uncompressed point of the SM2 curve")
        return "SM2"
    if certificate.algorithm == "RSA":
        return "RS256"
    if certificate.curve in _CURVES:
        return _CURVES[certificate.curve]
    raise Refusal(Reason.KEY_NOT_ALLOWED, "no algorithm for this kind of key")


def prepare(certificate: Certificate, *, origin: str, challenge: str) -> SigningInput:
    """Build what the key of ``certificate`` signs for ``origin`` (as the browser attested it) and ``challenge``.

    Raises:
        Refusal: CHALLENGE_MALFORMED, KEY_NOT_ALLOWED, KEY_WEAK.
    """
    check_challenge(challenge)
    algorithm = algorithm_of(certificate)
    message = signatures.signed_message(algorithm, origin, challenge)
    if algorithm == "SM2":
        return SigningInput(algorithm, message, sm2_digest(certificate.spki_der, message))
    digest = signatures.digest(algorithm, message)
    return SigningInput(algorithm, message, _DIGEST_INFO_SHA256 + digest if algorithm == "RS256" else digest)


def require_good_signature(certificate: Certificate, signing_input: SigningInput, signature: bytes) -> None:
    """Verify a lock's signature against its certificate before it leaves the driver.

    Locks and vendor libraries do return wrong ones: another key's, ECDSA where SM2 was asked for, a raw hash padded as is.

    Raises:
        Refusal: LOCK_SIGNATURE_WRONG.
    """
    try:
        signatures.verify(certificate.spki_der, signing_input.algorithm, signing_input.message, signature)
    except Refusal as refusal:
        raise Refusal(Reason.LOCK_SIGNATURE_WRONG, "the lock's signature does not fit its certificate") from refusal
