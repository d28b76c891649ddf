"""Judge a lock's answer: challenge, token, signature, path, revocation, profile, identity, in the order of the house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

from django.utils import timezone

from calock.core.certificate import Certificate
from calock.core.challenge import Challenge
from calock.core.evidence import Evidence
from calock.core.identity import Identity
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust
from calock.core.remember import Memory
from calock.core.verdict import Step, Verdict
from calock.core.verify import Setting, judge_token
from calock.server.challenges.services import Aim, open_challenge, spend_quietly
from calock.server.context import RequestContext
from calock.server.providers.models import Provider
from calock.server.providers.revocation import with_live_answers
from calock.server.providers.trust import current_register
from calock.wire.driver import Device
from calock.wire.token import AuthToken, parse_token

MAX_SERIAL = 64


@dataclass(frozen=True, slots=True)
class Proof:
    """An accepted answer: whoever sent it holds this certificate's key, now, for this aim."""

    challenge: Challenge
    certificate: Certificate
    provider: ProviderTrust
    issuer: CaCertificate
    identity: Identity


def _day(verdict: Verdict) -> dict[str, str | int | bool]:
    certificate = verdict.certificate
    if certificate is None:
        return {}
    days = {"not_after": certificate.not_after, "not_before": certificate.not_before}
    return {name: timezone.localtime(day).date().isoformat() for name, day in days.items()}


def provider_facts(code: str) -> dict[str, str | int | bool]:
    """What a sentence may say of a provider: its short name, hotline and links."""
    provider = Provider.objects.filter(code=code).first()
    if provider is None:
        return {}
    facts = {"hotline": provider.hotline, "renew_url": provider.renew_url, "unlock_url": provider.unlock_url}
    return {"provider": provider.short_name, **{name: value for name, value in facts.items() if value}}


_memory = Memory()
"""Of this process: what neither time nor revocation can change about the certificates that logged in last."""


def _require(verdict: Verdict) -> None:
    try:
        verdict.require()
    except Refusal as refusal:
        code = verdict.provider.code if verdict.provider else ""
        refusal.facts.update({**_day(verdict), **(provider_facts(code) if code else {})})
        raise


@contextmanager
def spent_if_refused(challenge: Challenge) -> Iterator[None]:
    """A failed attempt uses the challenge up as well. Wraps the transaction; is not inside it."""
    try:
        yield
    except Refusal:
        spend_quietly(challenge)
        raise


def open_answer(text: str, answer: bytes, *, aim: Aim, context: RequestContext) -> tuple[Challenge, AuthToken]:
    """The cheap checks: the token's size and form, then the challenge.

    Raises:
        Refusal: TOKEN_…, CHALLENGE_….
    """
    token = parse_token(answer)
    return open_challenge(text, aim=aim, context=context), token


def judge(
    challenge: Challenge,
    text: str,
    token: AuthToken,
    *,
    context: RequestContext,
    device: Device | None = None,
    provider: str = "",
    expired_allowed: bool = False,
) -> Proof:
    """Every check of the answer after its challenge was opened. Nothing leaves the machine before the signature holds.

    ``provider`` is the one chosen on the page, empty for any. ``expired_allowed``: the provider record lets an expired
    certificate be bound (it still cannot log in).

    Raises:
        Refusal: the reason of the first check that failed, with facts for its sentence.
    """
    setting = Setting(
        current_register(),
        context.at,
        provider=provider or None,
        site=context.site,
        device_serial=device.serial[:MAX_SERIAL] if device else "",
        memory=_memory,
    )

    def verify(evidence: Evidence) -> Verdict:
        return judge_token(token, replace(setting, evidence=evidence), origin=context.origin, challenge=text)

    verdict = with_live_answers(verify)
    if expired_allowed and verdict.reason == Reason.CERTIFICATE_EXPIRED and verdict.certificate is not None:
        # as on its last day, and without revocation: CAs drop expired certificates from their lists
        last_day = verdict.certificate.not_after - timedelta(seconds=1)
        setting = replace(setting, at=last_day, steps=setting.steps - {Step.REVOCATION})
        verdict = judge_token(token, setting, origin=context.origin, challenge=text)
    _require(verdict)
    return Proof(
        challenge,
        cast(Certificate, verdict.certificate),
        cast(ProviderTrust, verdict.provider),
        cast(CaCertificate, verdict.issuer),
        cast(Identity, verdict.identity),
    )
