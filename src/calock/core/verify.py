"""The decision: whether a certificate or an answer is genuine, valid now, and whose.

Pure: the moment, the trust and the evidence are arguments. Steps run in order and the first that fails ends it; what comes after is
reported as not reached. An answer's signature is verified as soon as the gate has found the key usable, so that nobody without
the key can make the server do the costly steps.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from calock.core import signatures
from calock.core.certificate import Certificate
from calock.core.evidence import Evidence, NoEvidence
from calock.core.gate import check_gate
from calock.core.identity import Identity, check_identity
from calock.core.path import Path, check_path, claimed_issuer
from calock.core.policy import Policy
from calock.core.profile import check_profile
from calock.core.refusals import Reason, Refusal
from calock.core.register import Register
from calock.core.revocation import check_revocation
from calock.core.verdict import ALL_STEPS, Check, RevocationStatus, Step, Verdict, failed, passed, skipped

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


@dataclass(frozen=True, slots=True)
class Setting:
    """What a decision stands on, besides the certificate itself."""

    register: Register
    at: datetime
    evidence: Evidence = field(default_factory=NoEvidence)
    provider: str | None = None
    """Code of the provider the person chose; None = any."""
    site: str | None = None
    """Site on which the certificate is used; None = do not ask whether the site recognises the provider."""
    steps: AbstractSet[Step] = ALL_STEPS
    stapled: tuple[bytes, ...] = ()
    device_serial: str = ""
    revocation_given: bool = True
    """False: nobody gave revocation data and nobody demands it, so the step is reported as skipped (command line only)."""


@dataclass(slots=True)
class _Run:
    """One decision under way."""

    setting: Setting
    certificate: Certificate
    checks: list[Check] = field(default_factory=list)
    path: Path | None = None
    identity: Identity | None = None
    revocation: tuple[RevocationStatus, ...] = ()

    def do(self, step: Step) -> None:
        if step not in self.setting.steps:
            return
        if any(check.passed is False for check in self.checks):
            self.checks.append(skipped(step, step.value, "not reached"))
            return
        self.checks += getattr(self, f"_{step.value}")()

    def policy(self) -> Policy:
        """The rules of the provider whose CA issued it; before that is proved, of the one it names."""
        if self.path is not None and self.path.provider is not None:
            return self.path.provider.policy
        claimed = claimed_issuer(self.certificate, self.setting.register)
        if claimed is None and len(self.setting.register.providers) == 1:
            return self.setting.register.providers[0].policy
        return claimed.provider.policy if claimed else Policy()

    def _found_path(self) -> Path:
        setting = self.setting
        if self.path is None:
            self.path = check_path(self.certificate, setting.register, at=setting.at, provider=setting.provider, site=setting.site)
        return self.path

    def _gate(self) -> list[Check]:
        return check_gate(self.certificate, self.policy(), self.setting.at)

    def _path(self) -> list[Check]:
        judged_by = self.policy()
        path = self._found_path()
        checks = list(path.checks)
        if path.holds and Step.GATE in self.setting.steps and self.policy() != judged_by:
            checks += [c for c in check_gate(self.certificate, self.policy(), self.setting.at) if c.passed is False]
        return checks

    def _revocation(self) -> list[Check]:
        path = self._found_path()
        certificates = path.certificates or (self.certificate,)
        rules = self.policy()
        if len(path.certificates) == 1:
            return [skipped(Step.REVOCATION, "revocation", "the certificate is itself a trust anchor")]
        if not self.setting.revocation_given:
            return [skipped(Step.REVOCATION, "revocation", "no revocation data given")]
        result = check_revocation(
            certificates, evidence=self.setting.evidence, policy=rules, at=self.setting.at, stapled=self.setting.stapled,
            anchored=bool(path.certificates),
        )  # fmt: skip
        self.revocation = result.statuses
        return list(result.checks)

    def _profile(self) -> list[Check]:
        return check_profile(self.certificate, self.policy())

    def _identity(self) -> list[Check]:
        checks, self.identity = check_identity(self.certificate, self.policy(), device_serial=self.setting.device_serial)
        return checks

    def verdict(self) -> Verdict:
        path = self.path
        holds = path is not None and path.holds
        return Verdict(
            checks=tuple(self.checks),
            certificate=self.certificate,
            provider=path.provider if path is not None and holds else None,
            issuer=path.issuer.ca if path is not None and holds and path.issuer else None,
            path=tuple(certificate.der for certificate in path.certificates) if path is not None and holds else (),
            identity=self.identity,
            revocation=self.revocation,
        )


def _guarded(run: _Run, step: Step) -> None:
    try:
        run.do(step)
    except Refusal as refusal:  # a malformed field met only here, e.g. when the gate was left out
        run.checks.append(failed(step, "readable", refusal.reason, refusal.detail))


def judge_certificate(der: bytes, setting: Setting) -> Verdict:
    """Judge one certificate (DER) in this setting. Never raises for anything that is in ``der``."""
    try:
        certificate = Certificate.parse(der)
    except Refusal as refusal:
        return Verdict((failed(Step.GATE, "parse", refusal.reason, refusal.detail),))
    run = _Run(setting, certificate, [passed(Step.GATE, "parse")] if Step.GATE in setting.steps else [])
    for step in (Step.GATE, Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        _guarded(run, step)
    return run.verdict()


def judge_token(token: Token, setting: Setting, *, origin: str, challenge: str) -> Verdict:
    """Judge one answer in this setting. Never raises for anything that is in ``token``."""
    try:
        certificate, signature, stapled = _decoded(token)
    except Refusal as refusal:
        step = Step.GATE if refusal.reason in (Reason.CERTIFICATE_UNPARSABLE, Reason.CERTIFICATE_TOO_LARGE) else Step.TOKEN
        return Verdict((failed(step, "readable", refusal.reason, refusal.detail),))
    if stapled:
        setting = _with_stapled(setting, stapled)
    run = _Run(setting, certificate)
    run.checks.append(_fit(token, certificate, run))
    _guarded(run, Step.GATE)
    if any(check.passed is False for check in run.checks):
        run.checks.append(skipped(Step.SIGNATURE, "signature", "not reached"))
    else:
        run.checks.append(check_signature(token.algorithm, certificate, signature, origin=origin, challenge=challenge))
    for step in (Step.PATH, Step.REVOCATION, Step.PROFILE, Step.IDENTITY):
        _guarded(run, step)
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


def _fit(token: Token, certificate: Certificate, run: _Run) -> Check:
    try:
        signatures.require_fit(token.algorithm, certificate.algorithm)
    except Refusal as refusal:
        return failed(Step.SIGNATURE, "algorithm", refusal.reason, refusal.detail)
    if certificate.algorithm not in run.policy().algorithms:
        return failed(Step.SIGNATURE, "algorithm", Reason.ALGORITHM_NOT_ALLOWED, f"{token.algorithm} is not one of the provider's")
    return passed(Step.SIGNATURE, "algorithm", token.algorithm)


def _with_stapled(setting: Setting, stapled: tuple[bytes, ...]) -> Setting:
    return Setting(setting.register, setting.at, setting.evidence, setting.provider, setting.site, setting.steps,
                   (*setting.stapled, *stapled), setting.device_serial, setting.revocation_given)  # fmt: skip


def decode_base64(text: str, what: str) -> bytes:
    """Strict base64 with its padding: no white space, no URL alphabet, nothing after it.

    Raises:
        Refusal: TOKEN_MALFORMED.
    """
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.TOKEN_MALFORMED, f"{what} is not base64") from error


def _decoded(token: Token) -> tuple[Certificate, bytes, tuple[bytes, ...]]:
    der = decode_base64(token.unverified_certificate, "the certificate")
    signature = decode_base64(token.signature, "the signature")
    if len(token.stapled_ocsp) > MAX_STAPLED:
        raise Refusal(Reason.TOKEN_TOO_LARGE, f"more than {MAX_STAPLED} stapled responses")
    stapled = tuple(decode_base64(text, "a stapled response") for text in token.stapled_ocsp)
    return Certificate.parse(der), signature, stapled


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
