"""Verify the signature of a login answer. The certificate's key decides which algorithms are possible, not the request.

Web eID names (JWA, RFC 7518 clause 3.1): ECDSA as raw r‖s, RSA PKCS#1 v1.5 and PSS with the salt as long as the digest. ``SM2`` is
SM2-with-SM3, signer ID 1234567812345678, raw r‖s (GM/T 0009).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from calock.core import libcrypto
from calock.core.certificates.key_types import is_ec, is_rsa
from calock.core.der.layout import key_kind, key_oids
from calock.core.refusals import Reason, Refusal


class _Algorithm(NamedTuple):
    key: str
    digest: hashes.HashAlgorithm | None
    hash_function: Callable[[bytes], bytes]
    ecdsa: ec.ECDSA | None = None
    padding: padding.AsymmetricPadding | None = None


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sha384(data: bytes) -> bytes:
    return hashlib.sha384(data).digest()


def _sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


_SHA = {"256": (hashes.SHA256(), _sha256), "384": (hashes.SHA384(), _sha384), "512": (hashes.SHA512(), _sha512)}
_ALGORITHMS: dict[str, _Algorithm] = {"SM2": _Algorithm("SM2", None, libcrypto.sm3)}
for _bits, (_digest, _function) in _SHA.items():
    _pss = padding.PSS(padding.MGF1(_digest), _digest.digest_size)
    _ALGORITHMS[f"ES{_bits}"] = _Algorithm("EC", _digest, _function, ecdsa=ec.ECDSA(_digest))
    _ALGORITHMS[f"RS{_bits}"] = _Algorithm("RSA", _digest, _function, padding=padding.PKCS1v15())
    _ALGORITHMS[f"PS{_bits}"] = _Algorithm("RSA", _digest, _function, padding=_pss)

_ORDERS = {
    "secp256r1": (32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "secp384r1": (48, int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16)),
    "secp521r1": (66, int("01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
                          "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16)),
}  # fmt: skip


def digest(algorithm: str, data: bytes) -> bytes:
    """The inner hash that goes with an answer's algorithm.

    Raises:
        Refusal: ALGORITHM_NOT_ALLOWED.
    """
    return _named(algorithm).hash_function(data)


@lru_cache(maxsize=128)
def _origin_hash(function: Callable[[bytes], bytes], origin: str) -> bytes:
    """A server has a handful of origins."""
    return function(origin.encode())


def signed_message(algorithm: str, origin: str, challenge: str) -> bytes:
    """hash(origin) ‖ hash(challenge): what a lock signs (and hashes again while signing). Both as UTF-8 text.

    Raises:
        Refusal: ALGORITHM_NOT_ALLOWED; CHALLENGE_MALFORMED or ORIGIN_NOT_ALLOWED when not encodable as UTF-8.
    """
    function = _named(algorithm).hash_function
    try:
        inner_origin = _origin_hash(function, origin)
    except UnicodeEncodeError as error:
        raise Refusal(Reason.ORIGIN_NOT_ALLOWED, "origin is not text") from error
    try:
        return inner_origin + function(challenge.encode())
    except UnicodeEncodeError as error:
        raise Refusal(Reason.CHALLENGE_MALFORMED, "challenge is not text") from error


def require_fit(algorithm: str, key_algorithm: str) -> None:
    """Check that the named algorithm is one of ours and belongs to this kind of key.

    Raises:
        Refusal: ALGORITHM_NOT_ALLOWED, ALGORITHM_KEY_MISMATCH.
    """
    if _named(algorithm).key != key_algorithm:
        raise Refusal(Reason.ALGORITHM_KEY_MISMATCH, f"{algorithm} with a key of kind {key_algorithm}")


def verify(spki_der: bytes, algorithm: str, message: bytes, signature: bytes) -> None:
    """Return when ``signature`` over ``message`` holds.

    A key marked for RSASSA-PSS alone (RFC 4055 clause 1.2) is of another kind than RSA: it verifies nothing.

    Raises:
        Refusal: ALGORITHM_NOT_ALLOWED, ALGORITHM_KEY_MISMATCH, SIGNATURE_INVALID, KEY_NOT_ALLOWED (no usable key).
    """
    named = _named(algorithm)
    if named.key == "SM2":
        return _verify_sm2(spki_der, message, signature)
    try:
        require_fit(algorithm, key_kind(*key_oids(spki_der)))
        key = load_der_public_key(spki_der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refusal(Reason.KEY_NOT_ALLOWED, str(error)[:120]) from error
    return verify_with(key, algorithm, message, signature)


def verify_with(key: PublicKeyTypes | CertificatePublicKeyTypes, algorithm: str, message: bytes, signature: bytes) -> None:
    """Like :func:`verify` for an RSA or EC key that is already loaded."""
    named = _named(algorithm)
    try:
        if named.ecdsa is not None and is_ec(key):
            key.verify(_ecdsa_der(key.curve.name, signature), message, named.ecdsa)
        elif named.padding is not None and named.digest is not None and is_rsa(key):
            key.verify(signature, message, named.padding, named.digest)
        else:
            raise Refusal(Reason.ALGORITHM_KEY_MISMATCH, f"{algorithm} with a key of another kind")
    except (InvalidSignature, ValueError) as error:
        raise Refusal(Reason.SIGNATURE_INVALID, "the signature does not fit origin, challenge and certificate") from error


def _named(algorithm: str) -> _Algorithm:
    named = _ALGORITHMS.get(algorithm)
    if named is None:
        raise Refusal(Reason.ALGORITHM_NOT_ALLOWED, f"algorithm {algorithm[:20]!r}")
    return named


def _verify_sm2(spki_der: bytes, message: bytes, signature: bytes) -> None:
    if not spki_der.startswith(libcrypto.SPKI_PREFIX) or len(spki_der) != 91:
        raise Refusal(Reason.ALGORITHM_KEY_MISMATCH, "SM2 with a key of another kind")
    if not libcrypto.sm2_verify(spki_der, _pair(signature, 32, libcrypto.N), message):
        raise Refusal(Reason.SIGNATURE_INVALID, "the signature does not fit origin, challenge and certificate")


def _ecdsa_der(curve: str, signature: bytes) -> bytes:
    if curve not in _ORDERS:
        raise Refusal(Reason.KEY_NOT_ALLOWED, f"curve {curve}")
    return _pair(signature, *_ORDERS[curve])


def _pair(raw: bytes, size: int, order: int) -> bytes:
    """Raw r‖s as DER. Both must lie between 1 and order-1."""
    r, s = int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big")
    if len(raw) != 2 * size or not 0 < r < order or not 0 < s < order:
        raise Refusal(Reason.SIGNATURE_INVALID, "r and s are not two numbers of the curve's size")
    return encode_dss_signature(r, s)
