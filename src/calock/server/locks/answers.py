"""Judge a lock's answer: challenge, token, signature, path, revocation, profile, identity, in the order of the house."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from calock.core.certificates.certificate import Certificate
from calock.core.challenge import Challenge
from calock.core.decision.cache import VerificationCache
from calock.core.decision.verify import VerificationInputs, verify_token
from calock.core.refusals import Known, Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust
from calock.core.revocation.evidence import RevocationEvidence
from calock.core.verdict import Identity, Verdict
from calock.server.challenges.services import Aim, open_challenge, spend_quietly
from calock.server.locks.decision_record import Details, Issuance, details_of, issuance_of
from calock.server.locks.expired import judge_expired
from calock.server.locks.revocations import known_lock, note_revoked
from calock.server.providers.models import Provider
from calock.server.providers.trust import current_register
from calock.server.receipts.drafts import Draft, draft_of
from calock.server.revocation.live import with_live_answers
from calock.server.sessions.context import RequestContext
from calock.server.tools import throttle
from calock.server.tools.outages import is_outage
from calock.server.tools.times import day_text
from calock.wire.driver import ReportedDevice
from calock.wire.driver_key import DriverProof, verify_proof
from calock.wire.token import AuthToken, parse_token

MAX_SERIAL = 64
_CALOCK = Path(__file__).parents[2]

log = logging.getLogger("calock.server")
_cache = VerificationCache()
"""Of this process: what neither time nor revocation can change about the certificates that logged in last."""


@dataclass(slots=True)
class AnswerAttempt:
    """One answer under way. ``about`` is what was found out of it: it goes into the audit row, however the attempt ends."""

    text: str
    challenge: Challenge
    answer: bytes
    """As it was received."""
    token: AuthToken
    about: dict[str, Known]


@dataclass(frozen=True, slots=True)
class Proof:
    """An accepted answer: its sender holds this certificate's key, now, for this aim."""

    challenge: Challenge
    certificate: Certificate
    provider: ProviderTrust
    issuer: CaCertificate
    identity: Identity
    details: Details
    """What the audit row of the act keeps of the decision."""
    draft: Draft
    """What the receipt of the act will keep."""
    driver_key: str
    """Fingerprint of the key of the driver that gave the answer, by which it is known again; empty where it named none."""


@contextmanager
def answering(text: str, answer: bytes, *, aim: Aim, context: RequestContext) -> Iterator[AnswerAttempt]:
    """Open a challenge and read its answer (the cheap checks), and see through whatever the body decides about it.

    A failed attempt uses the challenge up as well, and its refusal takes along what was known. That holds for every failure: an
    exception that is no refusal becomes one here, so that answers on which a parser stumbles are counted and seen as well. Only
    a database that is away stays an error of the server: no answer brings that about, and nothing can be written. Wraps the
    transaction; is not inside it.

    Raises:
        Refusal: TOKEN_…, CHALLENGE_…, ANSWER_NOT_JUDGED, and the body's.
    """
    opened: Challenge | None = None
    about: dict[str, Known] = {}
    try:
        opened = open_challenge(text, aim=aim, context=context)
        yield AnswerAttempt(text, opened, answer, parse_token(answer), about)
    except Refusal as refusal:
        _failed(opened, about, refusal)
        raise
    except Exception as error:
        if is_outage(error):
            raise
        refused = _not_judged(error, context)
        _failed(opened, about, refused)
        raise refused from error


def _failed(opened: Challenge | None, about: dict[str, Known], refusal: Refusal) -> None:
    if opened is not None:
        spend_quietly(opened)
        refusal.about = {**about, **refusal.about}


def _not_judged(error: Exception, context: RequestContext) -> Refusal:
    """The refusal for an error of ours. Its traceback is logged once a minute for each address."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_CALOCK)]
    place = f"{Path(ours[-1].filename).relative_to(_CALOCK)}:{ours[-1].lineno}" if ours else "an unknown place"
    detail = f"{type(error).__name__} at {place}"
    if throttle.first_this_minute(f"not judged {place}", context.ip):
        log.error("an answer could not be judged: %s", detail, exc_info=error)
    return Refusal(Reason.ANSWER_NOT_JUDGED, detail)


def judge(
    attempt: AnswerAttempt,
    *,
    context: RequestContext,
    device: ReportedDevice | None = None,
    provider: str = "",
    driver: DriverProof | None = None,
    expired_allowed: bool = False,
) -> Proof:
    """Every check of the answer after its challenge was opened. Nothing leaves the machine before the signature holds.

    ``provider`` is the one chosen on the page, empty for any. ``expired_allowed``: the provider record lets an expired
    certificate be bound (it still cannot log in). ``driver``: which driver gave the answer; what does not hold is refused.

    Raises:
        Refusal: the reason of the first check that failed, with facts for its sentence.
    """
    register = current_register()

    def verify(evidence: RevocationEvidence) -> Verdict:
        given = VerificationInputs(
            register,
            context.judged_at,
            evidence,
            provider=provider or None,
            site=context.site,
            device_serial=device.serial[:MAX_SERIAL] if device else "",
            cache=_cache,
        )
        verdict = verify_token(attempt.token, given, origin=context.origin, challenge=attempt.text)
        if expired_allowed and verdict.reason is Reason.CERTIFICATE_EXPIRED and verdict.certificate is not None:
            return judge_expired(attempt.token, given, verdict.certificate, origin=context.origin, challenge=attempt.text)
        return verdict

    verdict = with_live_answers(verify)
    issuance = issuance_of(verdict, register, context.judged_at)
    details = details_of(verdict, issuance)
    attempt.about.update({"provider": issuance.provider, **details})
    if not verdict.accepted:
        _learn(verdict, issuance, attempt, context)
    _require(verdict, issuance)
    driver_key = verify_proof(driver, "answer", origin=context.origin, nonce=attempt.text) if driver else ""
    draft = draft_of(
        verdict,
        challenge=attempt.challenge,
        text=attempt.text,
        token=attempt.answer,
        app_version=attempt.token.app_version or "",
        register=register,
        context=context,
    )
    return Proof(
        attempt.challenge,
        cast(Certificate, verdict.certificate),
        cast(ProviderTrust, verdict.provider),
        cast(CaCertificate, verdict.issuer),
        cast(Identity, verdict.identity),
        {**details, "receipt": draft.digest} | ({"driver_key": driver_key} if driver_key else {}),
        draft,
        driver_key,
    )


def _learn(verdict: Verdict, issuance: Issuance, attempt: AnswerAttempt, context: RequestContext) -> None:
    """Keep what a refused answer teaches: that the certificate is revoked for good, and for auditors whose lock it was."""
    certificate = verdict.certificate
    if certificate is None or not issuance.issuer_key:
        return
    lock = known_lock(issuance.issuer_key, certificate.serial_hex)
    if lock is not None:
        attempt.about["lock"] = lock
    if verdict.reason is Reason.CERTIFICATE_REVOKED:
        note_revoked(issuance.issuer_key, certificate.serial_hex, status=verdict.revocation[0], at=context.at)


def _require(verdict: Verdict, issuance: Issuance) -> None:
    try:
        verdict.require()
    except Refusal as refusal:
        refusal.facts.update({**_days(verdict), **(provider_facts(issuance.provider) if issuance.provider else {})})
        raise


def _days(verdict: Verdict) -> dict[str, str | int | bool]:
    certificate = verdict.certificate
    if certificate is None:
        return {}
    days = {"not_after": certificate.not_after, "not_before": certificate.not_before}
    return {name: day_text(day) for name, day in days.items()}


def provider_facts(code: str) -> dict[str, str | int | bool]:
    """What a sentence may say of a provider: its short name, hotline and links."""
    provider = Provider.objects.filter(code=code).first()
    if provider is None:
        return {}
    facts = {"hotline": provider.hotline, "renew_url": provider.renew_url, "unlock_url": provider.unlock_url}
    return {"provider": provider.short_name, **{name: value for name, value in facts.items() if value}}
