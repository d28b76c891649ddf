"""Proving again who one is, in the middle of a session: by password, or by an own lock."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from calock.core.challenge import Purpose
from calock.core.refusals import Reason, Refusal
from calock.server import throttle
from calock.server.accounts.models import Account
from calock.server.accounts.services import prove_by_password
from calock.server.audit.events import Event
from calock.server.audit.services import record, record_refusal
from calock.server.challenges.answers import judge, open_answer, spent_if_refused
from calock.server.challenges.services import Aim, spend
from calock.server.context import RequestContext
from calock.server.locks.holder import Seen
from calock.server.locks.models import Binding
from calock.server.locks.versions import lock_of, stands_for
from calock.server.sessions.models import Session


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a person brings to prove himself: a password, or a lock's answer to a challenge."""

    password: str = ""
    challenge: str = ""
    token: bytes = b""

    @property
    def is_empty(self) -> bool:
        return not self.password and not self.token


def prove(account: Account, evidence: Evidence, *, aim: Aim, context: RequestContext) -> None:
    """Return when ``evidence`` shows that ``account``'s own person is there.

    Raises:
        Refusal: STEP_UP_FAILED for a wrong password or another's lock; what stands against a lock's answer;
            STEP_UP_REQUIRED when there is no evidence; TOO_MANY_ATTEMPTS, SERVER_BUSY.
    """
    if evidence.is_empty:
        raise Refusal(Reason.STEP_UP_REQUIRED, "neither password nor answer")
    throttle.refuse_when_too_many("password", context.ip)
    if evidence.password:
        try:
            prove_by_password(account, evidence.password, context=context)
        except Refusal as refusal:
            if refusal.reason == Reason.CREDENTIALS_WRONG:
                raise Refusal(Reason.STEP_UP_FAILED, refusal.detail) from refusal
            raise
        return
    opened, token = open_answer(evidence.challenge, evidence.token, aim=aim, context=context)
    with spent_if_refused(opened):
        proof = judge(opened, evidence.challenge, token, context=context)
        seen = Seen.of(proof)
        lock = lock_of(seen)
        if lock is None or not stands_for(lock, seen):
            raise Refusal(Reason.STEP_UP_FAILED, "no certificate that logs in with a known lock")
        if not Binding.objects.live().filter(lock=lock, account=account).exists():
            raise Refusal(Reason.STEP_UP_FAILED, "the lock is not bound to this account")
        spend(opened)


def confirm_session(*, session: Session, evidence: Evidence, context: RequestContext) -> None:
    """Make the session fresh again, for acts that ask for a recent proof.

    Raises:
        Refusal: as ``prove``.
    """
    account = session.account
    throttle.refuse_when_too_many("step-up", context.ip)
    try:
        prove(account, evidence, aim=Aim(Purpose.STEPUP), context=context)
    except Refusal as refusal:
        throttle.count_failure("step-up", context.ip)
        record_refusal(Event.STEP_UP_REFUSED, refusal, context=context, actor=account, subject=account.pk)
        raise
    with transaction.atomic():
        Session.objects.filter(pk=session.pk).update(authenticated_at=context.at)
        session.authenticated_at = context.at
        how = "password" if evidence.password else "lock"
        record(Event.STEP_UP_SUCCEEDED, context=context, actor=account, subject=account.pk, details={"how": how})
