"""Entry points of verification: whether a certificate or a login answer is genuine and valid now, and who holds the lock.

Time, trust and revocation evidence are arguments; nothing is fetched. The steps run in order; after the first that fails the
others are reported as not reached. The signature of an answer is verified right after the gate, so that without the key a
sender cannot make the server take the costly steps.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.decision.cache import VerificationCache
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.verification import Verification, cached_verification
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Check, Step, Verdict, failed, passed, skipped

__all__ = ["MAX_STAPLED", "UnverifiedToken", "VerificationInputs", "verify_certificate", "verify_token"]

MAX_STAPLED = 4


class UnverifiedToken(Protocol):
    """A login answer whose contents are unverified; ``calock.wire.token.AuthToken`` is one."""

    @property
    def unverified_certificate(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def stapled_ocsp(self) -> Sequence[str]: ...


def verify_certificate(der: bytes, inputs: VerificationInputs) -> Verdict:
    """Verify one certificate (DER). Never raises because of what is in ``der``."""
    try:
        certificate = Certificate.parse(der)
    except Refusal as refusal:
        return Verdict((failed(Step.GATE, "parse", refusal.reason, refusal.detail),))
    verification = Verification(inputs, certificate)
    if Step.GATE in inputs.steps:
        verification.add(passed(Step.GATE, "parse"))
    for step in (Step.GATE, Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        verification.run_step(step)
    return verification.verdict()


def verify_token(token: UnverifiedToken, inputs: VerificationInputs, *, origin: str, challenge: str) -> Verdict:
    """Verify one login answer. Never raises because of ``token``. ``challenge`` was opened before (core/challenge.py)."""
    try:
        der = decode_base64(token.unverified_certificate, "the certificate")
        signature = decode_base64(token.signature, "the signature")
        stapled = _stapled(token)
        if stapled:
            inputs = replace(inputs, stapled=(*inputs.stapled, *stapled))
        key = VerificationCache.key(der, inputs.steps, inputs.device_serial)
        verification = cached_verification(inputs, key) or Verification(inputs, Certificate.parse(der))
    except Refusal as refusal:
        step = Step.TOKEN if refusal.reason in (Reason.TOKEN_MALFORMED, Reason.TOKEN_TOO_LARGE) else Step.GATE
        return Verdict((failed(step, "readable", refusal.reason, refusal.detail),))
    fit = _fit(token, verification)
    if verification.cached is not None and fit.passed:
        signed = check_signature(token.algorithm, verification.certificate, signature, origin=origin, challenge=challenge)
        if signed.passed:
            verdict = verification.with_cached_checks(fit, signed)
            if verdict is not None:
                return verdict
            verification = Verification(inputs, verification.certificate)
    verification.add(fit)
    verification.run_step(Step.GATE)
    if verification.refused:
        verification.add(skipped(Step.SIGNATURE, "signature", "not reached"))
    else:
        verification.add(check_signature(token.algorithm, verification.certificate, signature, origin=origin, challenge=challenge))
    for step in (Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        verification.run_step(step)
    if inputs.cache is not None:
        verification.store(inputs.cache, key)
    return verification.verdict()


def check_signature(algorithm: str, certificate: Certificate, signature: bytes, *, origin: str, challenge: str) -> Check:
    """Whether the certificate's key signed this origin and this challenge."""
    try:
        message = signatures.signed_message(algorithm, origin, challenge)
        if certificate.public_key is None:
            signatures.verify(certificate.spki_der, algorithm, message, signature)
        else:
            signatures.verify_with(certificate.public_key, algorithm, message, signature)
    except Refusal as refusal:
        return failed(Step.SIGNATURE, "signature", refusal.reason, refusal.detail)
    return passed(Step.SIGNATURE, "signature", algorithm)


def _fit(token: UnverifiedToken, verification: Verification) -> Check:
    try:
        kind = verification.certificate.algorithm
        signatures.require_fit(token.algorithm, kind)
    except Refusal as refusal:
        return failed(Step.SIGNATURE, "algorithm", refusal.reason, refusal.detail)
    if not any(kind in rules.algorithms for rules in verification.possible_rules()):
        return failed(Step.SIGNATURE, "algorithm", Reason.ALGORITHM_NOT_ALLOWED, f"{token.algorithm} is not one of the provider's")
    return passed(Step.SIGNATURE, "algorithm", token.algorithm)


def decode_base64(text: str, what: str) -> bytes:
    """Decode canonical Base64: padded, no white space, no URL alphabet, nothing after it, unused bits zero.

    Raises:
        Refusal: TOKEN_MALFORMED.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.TOKEN_MALFORMED, f"{what} is not base64") from error
    if binascii.b2a_base64(data[-(len(data) % 3 or 3) :], newline=False) != text[-4:].encode():  # only the end can carry stray bits
        raise Refusal(Reason.TOKEN_MALFORMED, f"{what} is not canonical base64")
    return data


def _stapled(token: UnverifiedToken) -> tuple[bytes, ...]:
    if not token.stapled_ocsp:
        return ()
    if len(token.stapled_ocsp) > MAX_STAPLED:
        raise Refusal(Reason.TOKEN_TOO_LARGE, f"more than {MAX_STAPLED} stapled responses")
    return tuple(decode_base64(text, "a stapled response") for text in token.stapled_ocsp)
