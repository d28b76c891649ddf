"""Who may sign an OCSP answer for a CA: the CA's own key, a delegate it certified directly, or a key pinned for exactly this CA.

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

from calock.core import names, walk
from calock.core.certificate import Certificate
from calock.core.ocsp import OcspMessage, key_bits
from calock.core.policy import Policy
from calock.core.signed_data import SignatureProblemError, check_issued, check_signature, unusable

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
OCSP_NOCHECK = "1.3.6.1.5.5.7.48.1.5"


class Standing(Enum):
    """Why a signer may answer."""

    ISSUER = "issuer"
    DELEGATE = "delegate"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Responder:
    """The verified signer of an answer."""

    certificate: Certificate
    standing: Standing

    def check_needed(self, longest: timedelta) -> bool:
        """Whether its own revocation must be looked up: a delegate, unless nocheck on a short-lived certificate."""
        if self.standing is not Standing.DELEGATE:
            return False
        life = self.certificate.not_after - self.certificate.not_before
        return OCSP_NOCHECK not in self.certificate.by_oid or life > longest


def find_responder(
    message: OcspMessage, issuer: Certificate, *, known: Iterable[Certificate], policy: Policy, at: datetime
) -> Responder:
    """Find and verify the signer of ``message`` as a responder for certificates of ``issuer``.

    ``known``: further certificates that may be a pinned responder's. ``at``: whether algorithms are allowed; the caller holds the
    responder's validity against its own clock as well.

    Raises:
        Refusal: REVOCATION_UNTRUSTED, with what is wrong with the best candidate.
    """
    problem = "the OCSP signer is neither the CA nor sent along"
    for candidate in (issuer, *message.certificates, *known):
        if not _is_named(message, candidate):
            continue
        try:
            check_signature(candidate.spki_der, message.signature_algorithm, message.tbs, message.signature, policy=policy, at=at)
        except SignatureProblemError as error:
            problem = f"OCSP signature: {error}"
            continue
        if candidate.spki_sha256 == issuer.spki_sha256:
            return Responder(candidate, Standing.ISSUER)
        if f"{issuer.spki_sha256}:{candidate.spki_sha256}" in policy.revocation.responders:
            return Responder(candidate, Standing.PINNED)
        problem = _delegate_problem(candidate, issuer, policy=policy, at=at)
        if not problem:
            return Responder(candidate, Standing.DELEGATE)
    raise unusable(problem)


def _is_named(message: OcspMessage, candidate: Certificate) -> bool:
    """Whether the responderID of the message means this certificate."""
    if message.responder_key_hash is not None:
        try:
            bits = key_bits(candidate.spki_der)
        except walk.WalkError:
            return False
        return hashlib.sha1(bits, usedforsecurity=False).digest() == message.responder_key_hash
    name = message.responder_name
    return name is not None and names.comparison_key(name.public_bytes()) == candidate.subject_key


def _delegate_problem(candidate: Certificate, issuer: Certificate, *, policy: Policy, at: datetime) -> str:
    """Say what keeps ``candidate`` from being a delegate of ``issuer``; empty = nothing."""
    try:
        check_issued(candidate, issuer, policy=policy, at=at)
    except SignatureProblemError:
        return "the OCSP signer's certificate was not issued by the CA's own key"
    if candidate.issuer_key != issuer.subject_key:
        return "the OCSP signer's certificate names another issuer"
    if OCSP_SIGNING not in (candidate.eku or ()):
        return "the OCSP signer's certificate is not for OCSP signing (id-kp-OCSPSigning)"
    if "digital_signature" not in (candidate.key_usage or frozenset()):
        return "the OCSP signer's certificate is not for signatures (digitalSignature)"
    if not candidate.not_before <= at <= candidate.not_after:
        return "the OCSP signer's certificate is not valid at this time"
    return ""
