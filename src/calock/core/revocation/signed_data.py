"""Signatures over X.509 structures (SIGNED{…}): which algorithms count, and whether one holds.

Certificates of a path are verified by OpenSSL; this is for CRLs, OCSP responses and the certificates of their signers. The same
algorithms are allowed as in certificates: with a weak one, revocation data could be forged.

Sources: RFC 5280 clause 4.1.1.2; RFC 4055 (RSA), RFC 5758 (ECDSA), GM/T 0015 and GM/T 0009 (SM2-with-SM3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key

from calock.core import libcrypto
from calock.core.certificates.certificate import Certificate
from calock.core.certificates.key_types import is_ec, is_rsa
from calock.core.certificates.signature_encoding import NOT_HELD, signature_fault, signer_id_fault
from calock.core.der import reader
from calock.core.der.layout import NO_PARAMETERS, signature_algorithm
from calock.core.libcrypto import SPKI_PREFIX
from calock.core.policy import Legacy, Policy, by_rule
from calock.core.refusals import Reason, Refusal

SM2_WITH_SM3 = "1.2.156.10197.1.501"
RSA_PSS = "1.2.840.113549.1.1.10"

_SALT, _TRAILER = reader.encode_integer(20), reader.encode_integer(1)
"""What RSASSA-PSS-params leave out (RFC 4055 clause 3.1); there is no other trailerField."""
_MAX_SALT = 2048
"""Octets of the longest RSA key that rules may allow."""
_START, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_RSA: dict[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.113549.1.1.5": hashes.SHA1,
    "1.2.840.113549.1.1.11": hashes.SHA256,
    "1.2.840.113549.1.1.12": hashes.SHA384,
    "1.2.840.113549.1.1.13": hashes.SHA512,
}
_ECDSA: dict[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.10045.4.1": hashes.SHA1,
    "1.2.840.10045.4.3.2": hashes.SHA256,
    "1.2.840.10045.4.3.3": hashes.SHA384,
    "1.2.840.10045.4.3.4": hashes.SHA512,
}
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}


def revocation_untrusted(detail: str) -> Refusal:
    """The refusal of revocation data that are not acceptable."""
    return Refusal(Reason.REVOCATION_UNTRUSTED, detail)


class SignatureRejectedError(ValueError):
    """The signature is not acceptable. The text is for operators."""


class SignatureEncodingError(SignatureRejectedError):
    """The signature holds, but is not written in DER."""


def check_signature(
    spki_der: bytes, algorithm_der: bytes, message: bytes, signature: bytes, *, policy: Policy, at: datetime
) -> None:
    """Verify ``signature`` over ``message``.

    ``algorithm_der`` is the AlgorithmIdentifier of the structure; ``policy`` says which algorithms, key sizes and
    curves count at ``at``, and in which encoding. RSA as PKCS#1 v1.5 or PSS, ECDSA and SM2 as SEQUENCE {r, s}; SM2 with the
    standard signer ID.

    Raises:
        SignatureRejectedError: algorithm or key not acceptable, or the signature does not hold.
    """
    dotted, parameters = _readable(algorithm_der)
    if dotted == SM2_WITH_SM3:
        _check_sm2(spki_der, parameters, message, signature, policy)
        return
    key = _loaded(spki_der)
    refuse_exceptions(_exceptions(key, dotted, policy), policy=policy, at=at)
    try:
        if is_rsa(key):
            _check_rsa(key, dotted, parameters, message, signature)
        elif is_ec(key):
            _check_ecdsa(key, dotted, parameters, message, signature, policy)
        else:
            raise SignatureRejectedError("the signer's key is neither SM2, RSA nor EC")
    except (InvalidSignature, ValueError) as error:
        if isinstance(error, SignatureRejectedError):
            raise
        raise SignatureRejectedError("the signature does not hold") from error


def check_issued(certificate: Certificate, issuer: Certificate, *, policy: Policy, at: datetime) -> None:
    """Verify that ``issuer``'s key signed ``certificate``. Only the signature is checked.

    Raises:
        SignatureRejectedError: it did not, or the signature does not count.
    """
    data = certificate.der
    try:
        parts = reader.children(data, *reader.whole(data), 3)
        (_, tbs, _, tbs_end), (_, algorithm, _, algorithm_end), _ = parts
    except (reader.DerError, ValueError) as error:
        raise SignatureRejectedError("not a certificate") from error
    if not certificate.signature_algorithms_agree:
        raise SignatureRejectedError("inner and outer signature algorithm differ")
    check_signature(
        issuer.spki_der, data[algorithm:algorithm_end], data[tbs:tbs_end], certificate.parsed.signature, policy=policy, at=at
    )


def check_issued_ever(certificate: Certificate, issuer: Certificate, *, policy: Policy) -> None:
    """Like :func:`check_issued`, with the dated exceptions of the rules at every time: for what can only lead to a refusal.

    Raises:
        SignatureRejectedError: ``issuer``'s key did not sign ``certificate``.
    """
    always = replace(policy, legacy=tuple((what, _END) for what in get_args(Legacy)))
    check_issued(certificate, issuer, policy=always, at=_START)


def exceptions_needed(spki_der: bytes, algorithm_der: bytes, *, policy: Policy) -> frozenset[Legacy]:
    """The dated exceptions (``Policy.legacy``) that a signature by this key needs.

    Raises:
        SignatureRejectedError: the rules do not allow it even with them.
    """
    dotted = _readable(algorithm_der)[0]
    if dotted == SM2_WITH_SM3:
        _require_kind("SM2", policy)
        return frozenset()
    return _exceptions(_loaded(spki_der), dotted, policy)


def refuse_exceptions(needed: frozenset[Legacy], *, policy: Policy, at: datetime) -> None:
    """Check that the exceptions a signature needs are granted at this time.

    Raises:
        SignatureRejectedError: one of them is not granted, or is over.
    """
    for what in sorted(needed):
        if not policy.allows_legacy(what, at):
            words = {"SHA1": "SHA-1 is not allowed", "RSA1024": f"RSA key of fewer than {policy.rsa_min_bits} bits"}
            raise SignatureRejectedError(by_rule(words[what], "legacy"))


def _readable(algorithm_der: bytes) -> tuple[str, bytes]:
    try:
        return signature_algorithm(algorithm_der)
    except reader.DerError as error:
        raise SignatureRejectedError("signature algorithm cannot be read") from error


def _loaded(spki_der: bytes) -> PublicKeyTypes:
    try:
        return load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureRejectedError("the signer's key cannot be used") from error


def _exceptions(key: PublicKeyTypes, dotted: str, policy: Policy) -> frozenset[Legacy]:
    needed: set[Legacy] = set()
    if is_rsa(key):
        _require_kind("RSA", policy)
        if not 1024 <= key.key_size <= policy.rsa_max_bits:
            raise SignatureRejectedError(f"RSA key of {key.key_size} bits; 1024 to {policy.rsa_max_bits} may be allowed")
        if key.key_size < policy.rsa_min_bits:
            needed.add("RSA1024")
    elif is_ec(key):
        _require_kind("EC", policy)
        if key.curve.name not in policy.curves:
            raise SignatureRejectedError(by_rule(f"curve {key.curve.name} is not allowed", "curves"))
    if hashes.SHA1 in (_RSA.get(dotted), _ECDSA.get(dotted)):
        needed.add("SHA1")
    return frozenset(needed)


def _require_kind(kind: str, policy: Policy) -> None:
    if kind not in policy.algorithms:
        raise SignatureRejectedError(by_rule(f"signatures by {kind} keys are not allowed", "algorithms"))


def _check_sm2(spki_der: bytes, parameters: bytes, message: bytes, signature: bytes, policy: Policy) -> None:
    _require_kind("SM2", policy)
    if parameters not in NO_PARAMETERS:
        raise SignatureRejectedError("SM2 signature with parameters")
    if not spki_der.startswith(SPKI_PREFIX):
        raise SignatureRejectedError("the signature does not hold")

    def otherwise() -> str:
        return signer_id_fault(spki_der, message, signature)

    _require_dss(lambda der: libcrypto.sm2_verify(spki_der, der, message), signature, policy, otherwise)


def _require_dss(holds: Callable[[bytes], bool], signature: bytes, policy: Policy, otherwise: Callable[[], str] = str) -> None:
    """``otherwise``: says why it does not hold, where that is known."""
    fault = signature_fault(holds, signature, tolerant=policy.tolerates_signatures)
    if fault == NOT_HELD:
        raise SignatureRejectedError(otherwise() or fault)
    if fault:
        raise SignatureEncodingError(fault)


def _digest(found: type[hashes.HashAlgorithm] | None, dotted: str) -> hashes.HashAlgorithm:
    if found is None:
        raise SignatureRejectedError(f"signature algorithm {dotted} is not allowed")
    return found()


def _check_rsa(key: rsa.RSAPublicKey, dotted: str, parameters: bytes, message: bytes, signature: bytes) -> None:
    if dotted == RSA_PSS:
        digest, scheme = _pss(parameters)
        key.verify(signature, message, scheme, digest)
        return
    digest = _digest(_RSA.get(dotted), dotted)
    if parameters not in NO_PARAMETERS:
        raise SignatureRejectedError("RSA signature with unexpected parameters")
    key.verify(signature, message, padding.PKCS1v15(), digest)


def _check_ecdsa(  # noqa: PLR0917 - what is signed, and by what
    key: ec.EllipticCurvePublicKey, dotted: str, parameters: bytes, message: bytes, signature: bytes, policy: Policy
) -> None:
    digest = _digest(_ECDSA.get(dotted), dotted)
    if parameters not in NO_PARAMETERS:
        raise SignatureRejectedError("ECDSA signature with parameters")
    method = ec.ECDSA(digest)

    def holds(der: bytes) -> bool:
        try:
            key.verify(der, message, method)
        except InvalidSignature:
            return False
        return True

    _require_dss(holds, signature, policy)


def _pss(parameters: bytes) -> tuple[hashes.HashAlgorithm, padding.PSS]:
    """RSASSA-PSS-params (RFC 4055 clause 3.1): one hash for both uses, a salt of any length; anything else is refused."""
    try:
        start, end = reader.whole(parameters)
        parts = {tag: parameters[first:stop] for tag, _, first, stop in reader.children(parameters, start, end, 4)}
        outer = _hash_of(parts.get(0xA0, b""))
        generator, inner = signature_algorithm(parts.get(0xA1, b""))
        given = parts.get(0xA2, _SALT)
        salt = reader.integer(given[slice(*reader.whole(given, reader.INTEGER))])
    except reader.DerError as error:
        raise SignatureRejectedError("RSASSA-PSS parameters are not acceptable") from error
    trailer = parts.get(0xA3, _TRAILER)
    if generator != "1.2.840.113549.1.1.8" or outer is None or _hash_of(inner) is not outer:
        raise SignatureRejectedError("RSASSA-PSS parameters are not acceptable")
    if trailer != _TRAILER or not 0 <= salt <= _MAX_SALT:
        raise SignatureRejectedError("RSASSA-PSS parameters are not acceptable")
    return outer(), padding.PSS(padding.MGF1(outer()), salt)


def _hash_of(algorithm_der: bytes) -> type[hashes.HashAlgorithm] | None:
    dotted, parameters = signature_algorithm(algorithm_der)
    return _HASHES.get(dotted) if parameters in NO_PARAMETERS else None
