"""Judging an expired certificate for a provider that lets such certificates be bound. They still cannot log in."""

from __future__ import annotations

from datetime import timedelta

from calock.core.certificates.certificate import Certificate
from calock.core.decision.verify import VerificationInputs, decode_base64, verify_token
from calock.core.revocation.check import FETCH_MAY_HELP, check_revocation
from calock.core.verdict import Check, Step, Verdict, skipped
from calock.wire.token import AuthToken


def judge_expired(
    token: AuthToken, inputs: VerificationInputs, certificate: Certificate, *, origin: str, challenge: str
) -> Verdict:
    """Judge as on the certificate's last day, and its revocation as it stands now.

    CAs drop expired certificates from their lists and stop answering about them, so data that is missing, old or not acceptable
    refuses nothing here. What is known against the certificate or its CA does: revoked, on hold, unknown to its CA.
    """
    dated = VerificationInputs(
        inputs.register,
        certificate.not_after - timedelta(seconds=1),
        inputs.evidence,
        provider=inputs.provider,
        site=inputs.site,
        steps=inputs.steps - {Step.REVOCATION},
        device_serial=inputs.device_serial,
        cache=inputs.cache,
    )
    verdict = verify_token(token, dated, origin=origin, challenge=challenge)
    if not verdict.accepted or verdict.provider is None:
        return verdict
    result = check_revocation(
        [Certificate.parse(der) for der in verdict.path],
        evidence=inputs.evidence.of_provider(verdict.provider.code),
        policy=verdict.provider.policy,
        at=inputs.at,
        stapled=[decode_base64(text, "a stapled response") for text in token.stapled_ocsp],
    )
    return Verdict(
        checks=(*verdict.checks, *map(_waived, result.checks)),
        certificate=verdict.certificate,
        provider=verdict.provider,
        issuer=verdict.issuer,
        path=verdict.path,
        identity=verdict.identity,
        revocation=result.statuses,
    )


def _waived(check: Check) -> Check:
    if check.reason not in FETCH_MAY_HELP:
        return check
    return skipped(Step.REVOCATION, check.name, f"not asked of an expired certificate: {check.detail}")
