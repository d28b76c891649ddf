"""The decision: whether a certificate or an answer is genuine, valid now, and whose.

Pure: the moment, the trust and the evidence are arguments. Steps run in order and the first that fails ends it; what comes after is
reported as not reached. An answer's signature is verified as soon as the gate has found the key usable, so that nobody without
the key can make the server do the costly steps.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.decision.cache import Memory
from calock.core.decision.verification import Run, Setting, recalled
from calock.core.refusals import Reason, Refusal
from calock.core.register import Register
from calock.core.revocation.evidence import Evidence
from calock.core.verdict import ALL_STEPS, Check, Step, Verdict, failed, passed, skipped

__all__ = ["MAX_STAPLED", "Setting", "Token", "judge_certificate", "judge_token", "verify_certificate", "verify_token"]

MAX_STAPLED = 4


class Token(Protocol):
    """An answer as it came in: everything in it is unverified. ``calock.wire.token.AuthToken`` is one."""

    @property
    def unverified_certificate(self) -> str: ...
    @property
    def algorithm(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def stapled_ocsp(self) -> Sequence[str]: ...


def judge_certificate(der: bytes, setting: Setting) -> Verdict:
    """Judge one certificate (DER) in this setting. Never raises for anything that is in ``der``."""
    try:
        certificate = Certificate.parse(der)
    except Refusal as refusal:
        return Verdict((failed(Step.GATE, "parse", refusal.reason, refusal.detail),))
    run = Run(setting, certificate)
    if Step.GATE in setting.steps:
        run.add(passed(Step.GATE, "parse"))
    for step in (Step.GATE, Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        run.do(step)
    return run.verdict()


def judge_token(token: Token, setting: Setting, *, origin: str, challenge: str) -> Verdict:
    """Judge one answer in this setting. Never raises for anything that is in ``token``."""
    try:
        der = decode_base64(token.unverified_certificate, "the certificate")
        signature = decode_base64(token.signature, "the signature")
        stapled = _stapled(token)
        if stapled:
            setting = replace(setting, stapled=(*setting.stapled, *stapled))
        key = Memory.key(der, setting.steps, setting.device_serial)
        run = recalled(setting, key) or Run(setting, Certificate.parse(der))
    except Refusal as refusal:
        step = Step.TOKEN if refusal.reason in (Reason.TOKEN_MALFORMED, Reason.TOKEN_TOO_LARGE) else Step.GATE
        return Verdict((failed(step, "readable", refusal.reason, refusal.detail),))
    fit = _fit(token, run)
    if run.known is not None and fit.passed:
        signed = check_signature(token.algorithm, run.certificate, signature, origin=origin, challenge=challenge)
        if signed.passed:
            return run.repeated(fit, signed)
    run.add(fit)
    run.do(Step.GATE)
    if run.refused:
        run.add(skipped(Step.SIGNATURE, "signature", "not reached"))
    else:
        run.add(check_signature(token.algorithm, run.certificate, signature, origin=origin, challenge=challenge))
    for step in (Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        run.do(step)
    if setting.memory is not None:
        run.keep(setting.memory, key)
    return run.verdict()


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


def _fit(token: Token, run: Run) -> Check:
    try:
        kind = run.certificate.algorithm
        signatures.require_fit(token.algorithm, kind)
    except Refusal as refusal:
        return failed(Step.SIGNATURE, "algorithm", refusal.reason, refusal.detail)
    if kind not in run.policy().algorithms:
        return failed(Step.SIGNATURE, "algorithm", Reason.ALGORITHM_NOT_ALLOWED, f"{token.algorithm} is not one of the provider's")
    return passed(Step.SIGNATURE, "algorithm", token.algorithm)


def decode_base64(text: str, what: str) -> bytes:
    """Base64 in its one canonical form: padded, no white space, no URL alphabet, nothing after it, no stray bits.

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


def _stapled(token: Token) -> tuple[bytes, ...]:
    if not token.stapled_ocsp:
        return ()
    if len(token.stapled_ocsp) > MAX_STAPLED:
        raise Refusal(Reason.TOKEN_TOO_LARGE, f"more than {MAX_STAPLED} stapled responses")
    return tuple(decode_base64(text, "a stapled response") for text in token.stapled_ocsp)


def verify_certificate(
    der: bytes,
    *,
    register: Register,
    evidence: Evidence,
    at: datetime,
    provider: str | None = None,
    site: str | None = None,
    steps: AbstractSet[Step] = ALL_STEPS,
    stapled: Iterable[bytes] = (),
    device_serial: str = "",
) -> Verdict:
    """Judge one certificate (DER) as :func:`judge_certificate` does, fail closed."""
    return judge_certificate(
        der, Setting(register, at, evidence, provider, site, steps, tuple(stapled), device_serial=device_serial)
    )


def verify_token(
    token: Token,
    *,
    origin: str,
    challenge: str,
    register: Register,
    evidence: Evidence,
    at: datetime,
    provider: str | None = None,
    site: str | None = None,
    device_serial: str = "",
) -> Verdict:
    """Judge one answer as :func:`judge_token` does, fail closed. ``challenge`` was opened before (:mod:`calock.core.challenge`)."""
    setting = Setting(register, at, evidence, provider, site, device_serial=device_serial)
    return judge_token(token, setting, origin=origin, challenge=challenge)
