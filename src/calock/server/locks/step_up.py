"""Proving again who one is, in the middle of a session: by password, or by an own lock."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from django.db import transaction

from calock.core.challenge import Purpose
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.accounts.services import prove_by_password
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.challenges.services import Aim, spend
from calock.server.locks.answers import answering, judge, provider_facts
from calock.server.locks.decision_record import Details
from calock.server.locks.holder import ProvenCertificate
from calock.server.locks.models import Binding, Lock
from calock.server.locks.own_organisation import require_own_organisation
from calock.server.locks.password_rules import refuse_password_as_proof
from calock.server.locks.revocations import require_not_revoked
from calock.server.locks.row_seals import live_binding, require_intact
from calock.server.locks.versions import lock_of, stands_for, take_turn
from calock.server.receipts.drafts import Draft
from calock.server.receipts.services import keep
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import add_proof, is_fresh_by_lock
from calock.server.tools import throttle


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person brings to prove themselves: a password, or a lock's answer to a challenge."""

    password: str = ""
    challenge: str = ""
    token: bytes = b""

    @property
    def is_empty(self) -> bool:
        return not self.password and not self.token


class Proved(NamedTuple):
    """What was proved: the lock, none for a password, and what the audit row keeps of its answer."""

    lock: uuid.UUID | None
    details: Details
    draft: Draft | None = None
    """For the receipt of the act, where a lock answered."""


def prove(account: Account, evidence: Evidence, *, aim: Aim, context: RequestContext) -> Proved:
    """Return when ``evidence`` shows that ``account``'s own person is there.

    Raises:
        Refusal: STEP_UP_FAILED for a wrong password or another's lock; LOCK_REPORTED_LOST, LOCK_PROOF_REQUIRED,
            PASSWORD_RESET_LATELY; what stands against a lock's answer; STEP_UP_REQUIRED without evidence and without a lock's
            fresh proof; TOO_MANY_ATTEMPTS, PASSWORD_TRIES_USED_UP, SERVER_BUSY.
    """
    if evidence.is_empty:
        return _proved_lately(account, context)
    throttle.refuse_when_too_many("password", context.sender)
    if evidence.password:
        refuse_password_as_proof(account, site=context.site, at=context.at)
        prove_by_password(account, evidence.password, context=context)
        return Proved(None, {})
    with answering(evidence.challenge, evidence.token, aim=aim, context=context) as attempt:
        attempt.about["how"] = "lock"
        proof = judge(attempt, context=context)
        require_not_revoked(proof.issuer.spki_sha256, proof.certificate.serial_hex)
        proven = ProvenCertificate.of(proof)
        lock = lock_of(proven)
        if lock is not None:
            attempt.about["lock"] = lock.pk
        if lock is None or not stands_for(lock, proven, at=context.at):
            raise Refusal(Reason.STEP_UP_FAILED, "no certificate that logs in with a known lock")
        binding = live_binding(lock, account)
        if binding is None or binding.awaits:
            raise Refusal(Reason.STEP_UP_FAILED, "the lock is not bound to this account")
        if binding.suspended_at is not None and aim.purpose != Purpose.RESUME:
            raise Refusal(Reason.LOCK_REPORTED_LOST, "a lost lock proves nothing", provider_facts(proof.provider.code))
        require_intact(binding)
        if lock.provider.code != proof.provider.code:
            require_own_organisation(proof, account)
        spend(proof.challenge)
        return Proved(lock.pk, proof.details, proof.draft)


def _proved_lately(account: Account, context: RequestContext) -> Proved:
    """The lock that the session proved in the last minutes: whoever goes by a lock alone has nothing to type."""
    session = context.session
    if session is None or session.proved_lock_id is None or not is_fresh_by_lock(session, at=context.at):
        _ask_for_evidence(account, context)
    return Proved(session.proved_lock_id, {})


def _ask_for_evidence(account: Account, context: RequestContext) -> NoReturn:
    refuse_password_as_proof(account, site=context.site, at=context.at)
    raise Refusal(Reason.STEP_UP_REQUIRED, "neither password nor answer")


def confirm_session(*, session: Session, evidence: Evidence, context: RequestContext) -> str:
    """Make the session fresh again, for acts that ask for a recent proof. An earlier proof makes no new one.

    Gives the value of the session's new cookie.

    Raises:
        Refusal: as ``prove``; STEP_UP_REQUIRED or LOCK_PROOF_REQUIRED without evidence; SESSION_ENDED as ``add_proof``.
    """
    account = session.account
    with counted("step-up", Event.STEP_UP_REFUSED, context=context, actor=account, subject=account.pk):
        if evidence.is_empty:
            _ask_for_evidence(account, context)
        proved = prove(account, evidence, aim=Aim(Purpose.STEPUP), context=context)
        with transaction.atomic():
            if proved.lock is not None:
                _require_still_there(proved.lock, account)
            cookie = add_proof(session=session, lock_id=proved.lock, at=context.at)
            details = {"how": "lock" if proved.lock else "password", **proved.details}
            row = record(
                Event.STEP_UP_SUCCEEDED, context=context, actor=account, subject=account.pk, lock=proved.lock, details=details
            )
            if proved.draft is not None:
                keep(proved.draft, row)
    return cookie


def _require_still_there(lock: uuid.UUID, account: Account) -> None:
    """The lock still logs in to the account; a report of its loss waits for this transaction, or is seen by it.

    Raises:
        Refusal: LOCK_REPORTED_LOST.
    """
    take_turn(Lock.objects.get(pk=lock))
    if not Binding.objects.logging_in().filter(lock=lock, account=account).exists():
        raise Refusal(Reason.LOCK_REPORTED_LOST, "reported lost, or unbound, while it answered")
