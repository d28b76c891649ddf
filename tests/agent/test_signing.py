"""What a lock signs, and the refusal of what it signed wrongly."""

from __future__ import annotations

import hashlib

import pytest
from agent.driving import CHALLENGE, ORIGIN, make_certificate
from cryptography.hazmat.primitives.asymmetric import ec

from calock.agent import signing
from calock.agent.signing import SigningInput
from calock.core.certificates.certificate import Certificate
from calock.core.libcrypto import der_to_raw, sm2_digest, sm3
from calock.core.refusals import Reason, Refusal
from calock.demo import pki

_LONG = {"not_before": pki.EPOCH, "not_after": pki.EPOCH.replace(year=pki.EPOCH.year + 20)}


def certificate_for(key: pki.Key) -> Certificate:
    return Certificate.parse(make_certificate(key, ca=None))


def test_sm2_signs_e_of_two_sm3_hashes() -> None:
    certificate = certificate_for(pki.make_key("SM2"))
    made = signing.prepare(certificate, origin=ORIGIN, challenge=CHALLENGE)
    message = sm3(ORIGIN.encode()) + sm3(CHALLENGE.encode())
    assert made == SigningInput("SM2", message, sm2_digest(certificate.spki_der, message))


def test_rsa_gets_a_digest_info_of_the_hashed_hashes() -> None:
    made = signing.prepare(certificate_for(pki.make_key("RSA")), origin=ORIGIN, challenge=CHALLENGE)
    inner = hashlib.sha256(ORIGIN.encode()).digest() + hashlib.sha256(CHALLENGE.encode()).digest()
    assert made.algorithm == "RS256"
    assert made.e == bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(inner).digest()


@pytest.mark.parametrize(
    ("curve", "algorithm", "digest"),
    [(ec.SECP256R1(), "ES256", "sha256"), (ec.SECP384R1(), "ES384", "sha384"), (ec.SECP521R1(), "ES512", "sha512")],
)
def test_the_curve_decides_the_algorithm(curve: ec.EllipticCurve, algorithm: str, digest: str) -> None:
    ca = pki.make_root("CA", algorithm="EC", **_LONG)
    key = pki.make_key("EC", curve=curve)
    made = signing.prepare(Certificate.parse(make_certificate(key, ca=ca)), origin=ORIGIN, challenge=CHALLENGE)
    inner = hashlib.new(digest, ORIGIN.encode()).digest() + hashlib.new(digest, CHALLENGE.encode()).digest()
    assert (made.algorithm, made.message, made.e) == (algorithm, inner, hashlib.new(digest, inner).digest())


def test_a_curve_without_an_algorithm_is_refused() -> None:
    ca = pki.make_root("CA", algorithm="EC", **_LONG)
    certificate = Certificate.parse(make_certificate(pki.make_key("EC", curve=ec.SECP256K1()), ca=ca))
    with pytest.raises(Refusal) as refused:
        signing.prepare(certificate, origin=ORIGIN, challenge=CHALLENGE)
    assert refused.value.reason is Reason.KEY_NOT_ALLOWED


@pytest.mark.parametrize("algorithm", ["SM2", "RSA", "EC"])
def test_only_the_certificates_own_key_passes(algorithm: pki.Algorithm) -> None:
    key, other = pki.make_key(algorithm), pki.make_key(algorithm)
    certificate = certificate_for(key)
    made = signing.prepare(certificate, origin=ORIGIN, challenge=CHALLENGE)
    from_own, from_other = key.sign(made.message), other.sign(made.message)
    signing.require_good_signature(certificate, made, _raw(algorithm, from_own))
    for wrong in (_raw(algorithm, from_other), b"", bytes(64), _raw(algorithm, key.sign(made.e)), from_own + b"x"):
        with pytest.raises(Refusal) as refused:
            signing.require_good_signature(certificate, made, wrong)
        assert refused.value.reason is Reason.LOCK_SIGNATURE_WRONG


def test_ecdsa_where_sm2_was_asked_for_is_refused() -> None:
    """What PKCS#11 libraries do with CKM_ECDSA on an SM2 key."""
    certificate = certificate_for(pki.make_key("SM2"))
    made = signing.prepare(certificate, origin=ORIGIN, challenge=CHALLENGE)
    with pytest.raises(Refusal):
        signing.require_good_signature(certificate, made, _raw("EC", pki.make_key("EC").sign(made.message)))


def _raw(algorithm: str, signature: bytes) -> bytes:
    return signature if algorithm == "RSA" else der_to_raw(signature)
