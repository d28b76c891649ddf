"""Authorized responders: the CA's own key, a delegate that it certified directly, or a key pinned for exactly this CA.

Stricter than RFC 6960 clause 4.2.2.2: a delegate's certificate must be signed by the very key that issued the certificate in
question (a responder may serve two CAs only with a certificate from each), and id-pkix-ocsp-nocheck is believed only of
certificates that live briefly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from calock.core import libcrypto
from calock.core.certificates.certificate import Certificate
from calock.core.certificates.keys import key_fault
from calock.core.checks.gate import form_fault
from calock.core.der import reader
from calock.core.der.layout import key_bits
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.revocation.ocsp import BasicOcspResponse
from calock.core.revocation.signed_data import (
    SignatureEncodingError,
    SignatureRejectedError,
    check_issued,
    check_signature,
    revocation_untrusted,
)

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
OCSP_NOCHECK = "1.3.6.1.5.5.7.48.1.5"


class ResponderAuthorization(Enum):
    """Why a signer may answer for a CA (RFC 6960 clause 4.2.2.2)."""

    ISSUER = "issuer"
    DELEGATE = "delegate"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Responder:
    """The verified signer of a response."""

    certificate: Certificate
    authorization: ResponderAuthorization

    def check_needed(self, longest: timedelta) -> bool:
        """Whether its own revocation must be looked up: a delegate, unless nocheck on a short-lived certificate."""
        if self.authorization is not ResponderAuthorization.DELEGATE:
            return False
        life = self.certificate.not_after - self.certificate.not_before
        return OCSP_NOCHECK not in self.certificate.by_oid or life > longest


def find_responder(
    response: BasicOcspResponse, issuer: Certificate, *, known: Iterable[Certificate], policy: Policy, at: datetime
) -> Responder:
    """Find and verify the signer of ``response`` as a responder for certificates of ``issuer``.

    ``known``: further certificates that may be a pinned responder's. ``at``: whether algorithms are allowed; the caller holds the
    responder's validity against its own clock as well.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, with what is wrong with the last candidate.
    """
    problem = "the OCSP signer is neither the CA nor sent along"
    for candidate in (issuer, *response.certificates, *known):
        if not _is_named(response, candidate):
            continue
        try:
            check_signature(
                candidate.spki_der, response.signature_algorithm, response.tbs, response.signature, policy=policy, at=at
            )
        except SignatureRejectedError as error:
            problem = f"OCSP signature: {error}"
            continue
        if candidate.spki_sha256 == issuer.spki_sha256:
            return Responder(candidate, ResponderAuthorization.ISSUER)
        if f"{issuer.spki_sha256}:{candidate.spki_sha256}" in policy.revocation.responders:
            return Responder(candidate, ResponderAuthorization.PINNED)
        problem = _delegate_problem(candidate, issuer, policy=policy, at=at)
        if not problem:
            return Responder(candidate, ResponderAuthorization.DELEGATE)
    raise revocation_untrusted(problem)


def _is_named(response: BasicOcspResponse, candidate: Certificate) -> bool:
    """Whether the responderID of the response means this certificate."""
    named = response.responder_key_hash
    try:
        return response.responder_key == candidate.subject_key if named is None else _names_key(named, candidate)
    except (Refusal, reader.DerError):
        return False  # the name or the key cannot be read


def _names_key(named: bytes, candidate: Certificate) -> bool:
    hashes = *_key_hashes(key_bits(candidate.spki_der), len(named)), *_key_hashes(candidate.spki_der, len(named))
    return named in hashes or named.hex() == candidate.subject_key_id


def _key_hashes(bits: bytes, size: int) -> tuple[bytes, ...]:
    """Hashes of so many octets by which a responderID may name a key: SHA-1 (RFC 6960 clause 4.2.1), else SHA-256 or SM3.

    Some responders hash the whole SubjectPublicKeyInfo, or take the key identifier of their certificate. It only chooses the key
    that the signature is verified with.
    """
    if size == 20:
        return (hashlib.sha1(bits, usedforsecurity=False).digest(),)
    return hashlib.sha256(bits).digest(), libcrypto.sm3(bits)


def _delegate_problem(candidate: Certificate, issuer: Certificate, *, policy: Policy, at: datetime) -> str:
    """Why ``candidate`` is not a delegate of ``issuer``; empty = it is one."""
    try:
        return _unfit(candidate, issuer, policy=policy, at=at)
    except Refusal as refusal:
        return f"the OCSP signer's certificate: {refusal.detail or refusal.reason}"


def _unfit(candidate: Certificate, issuer: Certificate, *, policy: Policy, at: datetime) -> str:
    try:
        check_issued(candidate, issuer, policy=policy, at=at)
    except SignatureEncodingError as error:
        return f"the OCSP signer's certificate: {error}"
    except SignatureRejectedError:
        return "the OCSP signer's certificate was not issued by the CA's own key"
    fault = form_fault(candidate, policy, at, strict=False) or key_fault(candidate, policy, at)
    if fault is not None:
        return f"the OCSP signer's certificate: {fault[1]}"
    demands = (
        (candidate.issuer_key == issuer.subject_key, "names another issuer"),
        (OCSP_SIGNING in (candidate.eku or ()), "is not for OCSP signing (id-kp-OCSPSigning)"),
        (_may_sign(candidate), "is not for signatures (digitalSignature)"),
        (not candidate.is_ca, "is a CA's"),
        (candidate.not_before <= at <= candidate.not_after, "is not valid at this time"),
    )
    return next((f"the OCSP signer's certificate {fails}" for holds, fails in demands if not holds), "")


def _may_sign(candidate: Certificate) -> bool:
    """Without a keyUsage extension the key is not restricted (RFC 5280 clause 4.2.1.3); RFC 6960 clause 4.2.2.2 wants none."""
    return candidate.key_usage is None or "digital_signature" in candidate.key_usage
