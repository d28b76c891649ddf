"""Bind a lock to an account. The database decides every race: one live binding per lock, one lock per key."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from django.db import IntegrityError, transaction

from calock.core.challenge import Challenge, Purpose
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import acting
from calock.server.accounts.codes import lock_of_password
from calock.server.accounts.members import locked
from calock.server.accounts.models import Account, Role
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.challenges.services import Aim, spend
from calock.server.locks.answers import Proof, answering, judge, provider_facts
from calock.server.locks.claims import end_claims_on
from calock.server.locks.consent import awaited
from calock.server.locks.holder import ProvenCertificate
from calock.server.locks.known_drivers import is_known_driver, note_new_driver
from calock.server.locks.models import Awaits, Binding, Lock
from calock.server.locks.operator_rules import require_enrolment, require_own_person
from calock.server.locks.own_organisation import require_own_organisation
from calock.server.locks.password_rules import refuse_password_as_proof, refuse_power_after_reset
from calock.server.locks.predecessors import PredecessorStatus, RacedError
from calock.server.locks.renewals import Act, BindingQuestion, Choice, candidates, chosen
from calock.server.locks.revocations import require_not_revoked
from calock.server.locks.row_seals import require_intact, seal_as_before
from calock.server.locks.unbinding import end_replaced
from calock.server.locks.versions import (
    current_version,
    is_same,
    lock_of,
    predecessor_of,
    require_heir,
    require_not_expired_beside,
    take_turn,
    take_version,
)
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import Own, notify
from calock.server.providers.models import Provider
from calock.server.receipts.services import keep
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import is_fresh_by_lock, require_fresh
from calock.server.tools.masking import mask_name
from calock.server.tools.retry import again_when_broken_off
from calock.server.tools.times import day_text
from calock.wire.driver import ReportedDevice
from calock.wire.driver_key import DriverProof

_BY_PASSWORD = {"by_password": "1"}
ATTEMPTS = 4
"""How often a bind that lost a race is looked at again; the second look finds the winner's rows."""


class Judged(NamedTuple):
    """What was looked up before the transaction that binds."""

    proven: ProvenCertificate
    lock: Lock | None
    """The lock that the certificate goes to; None for a new one."""
    predecessor: PredecessorStatus | None
    choice: Choice | None
    named: Binding | None
    """The binding that the person chose: renewed when ``lock`` is its lock, else replaced."""


def bind_lock(
    *,
    member: Account,
    provider: str,
    challenge: str,
    token: bytes,
    device: ReportedDevice | None,
    by: Account,
    context: RequestContext,
    driver: DriverProof | None = None,
    choice: Choice | None = None,
) -> Binding | BindingQuestion:
    """Bind the answering lock to ``member``, or confirm its renewed certificate when it is bound to them already.

    Where ``member`` has locks of the same holder and this one's key is new, the question comes back what it is; ``choice`` answers
    it, with the same challenge and token.

    ``by`` is the member or their organisation's administrator, with a proof of themselves not older than five minutes.

    Raises:
        Refusal: NOT_FOUND (a member outside ``by``'s authority), STEP_UP_REQUIRED, everything the answer can be refused for,
            PROVIDER_MISMATCH, HOLDER_NOT_ORGANISATION, LOCK_BOUND_TO_OTHER, LOCK_ALREADY_BOUND, LOCK_HOLDER_CHANGED,
            LOCK_REPORTED_LOST,
            BINDING_NOT_FOUND for a choice, KEY_ALREADY_KNOWN, PREDECESSOR_REVOKED, CERTIFICATE_SUPERSEDED,
            OPERATOR_HOLDER_KNOWN, RECORD_DAMAGED, OPERATOR_DAMAGED. Each is audited.
    """
    details = {"chosen": provider} if provider else {}
    with counted("bind", Event.BINDING_REFUSED, context=context, actor=by, subject=member.pk, details=details):
        require_may_bind(member=member, by=by, context=context)
        aim = Aim(Purpose.BIND, member=member.pk, provider=provider)
        with answering(challenge, token, aim=aim, context=context) as attempt:
            chosen = Provider.objects.filter(code=provider).first()
            expired_allowed = chosen is not None and chosen.allow_expired_binding
            proof = judge(
                attempt, context=context, device=device, provider=provider, driver=driver, expired_allowed=expired_allowed
            )
            return _bind_proven(proof, choice=choice, member=member, by=by, context=context)


def require_may_bind(*, member: Account, by: Account, context: RequestContext) -> None:
    """Whether ``by`` may bind a lock for ``member`` now.

    Raises:
        Refusal: NOT_FOUND, STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, LOCK_ENROLMENT_CLOSED.
    """
    if not Account.objects.bindable_by(by).filter(pk=member.pk).exists():
        raise Refusal(Reason.NOT_FOUND, "not an account that this one may bind for")
    session = require_fresh(context)
    by_lock = is_fresh_by_lock(session, at=context.at)
    if not by_lock:
        refuse_password_as_proof(by, site=context.site, at=context.at)
        require_enrolment(by, at=context.at)
    if member.pk != by.pk:
        refuse_power_after_reset(by, lock=session.proved_lock_id if by_lock else None, at=context.at)


def _bind_proven(
    proof: Proof, *, choice: Choice | None, member: Account, by: Account, context: RequestContext
) -> Binding | BindingQuestion:
    require_own_organisation(proof, member)
    require_not_revoked(proof.issuer.spki_sha256, proof.certificate.serial_hex)
    return _bind_until_decided(proof.challenge, ProvenCertificate.of(proof), choice=choice, member=member, by=by, context=context)


def _bind_until_decided(
    challenge: Challenge,
    proven: ProvenCertificate,
    *,
    choice: Choice | None,
    member: Account,
    by: Account,
    context: RequestContext,
) -> Binding | BindingQuestion:
    for _ in range(ATTEMPTS):
        lock = lock_of(proven)
        if lock is None and choice is None and (found := candidates(proven, member=member, by=by)):
            return BindingQuestion(proven, found)
        named: Binding | None = None
        if lock is None and choice is not None and choice.act != Act.ANOTHER:
            named = chosen(choice, proven, member=member, by=by)
            lock = named.lock if choice.act == Act.RENEW else None
        judged = Judged(proven, lock, predecessor_of(proven, lock, at=context.at), choice, named)
        try:
            return _bind_once(challenge, judged, member=member, by=by, context=context)
        except (IntegrityError, RacedError):
            continue  # somebody else inserted the lock, its key, a version or the binding between our look and our insert
    raise Refusal(Reason.SERVER_BUSY, "lost every race")


@again_when_broken_off
def _bind_once(challenge: Challenge, judged: Judged, *, member: Account, by: Account, context: RequestContext) -> Binding:
    with transaction.atomic():
        spend(challenge)
        held = _held(member, by, judged.proven)
        return _bind_rows(judged, member=held, by=by, context=context)


def _held(member: Account, by: Account, proven: ProvenCertificate) -> Account:
    """The member's row, locked, when ``by`` may still bind for it: 离职 or 停用 may have come since that was asked.

    Raises:
        Refusal: NOT_FOUND, NOT_ALLOWED, OPERATOR_HOLDER_KNOWN, RECORD_DAMAGED, OPERATOR_DAMAGED.
    """
    administrator = acting(by) if by.pk != member.pk else None
    held = require_own_person(member, proven.holder_hmacs) if member.role == Role.OPERATOR else locked(member)
    if not Account.objects.bindable_by(administrator or held).filter(pk=held.pk).exists():
        raise Refusal(Reason.NOT_FOUND, "disabled, or outside this account's authority, meanwhile")
    held.require_believed()  # its organisation may be written: the binding would be sealed, and good once that is changed back
    return held


def _lock_to_bind(judged: Judged) -> Lock:
    """The known lock, with its turn taken, or a new one.

    Raises:
        RacedError: the key has come to stand under another lock since it was looked at.
    """
    known = lock_of(judged.proven)
    if known is not None and (judged.lock is None or known.pk != judged.lock.pk):
        raise RacedError
    if judged.lock is not None:
        take_turn(judged.lock)
        return judged.lock
    proven = judged.proven
    lock = Lock(provider=Provider.objects.get(code=proven.provider), lock_id=proven.lock_ids[0], device=proven.devices[0])
    lock.save(force_insert=True)
    return lock


def _bind_rows(judged: Judged, *, member: Account, by: Account, context: RequestContext) -> Binding:
    lock, proven = _lock_to_bind(judged), judged.proven
    live = Binding.objects.live().select_related("account", "lock").filter(lock=lock).first()
    if live is not None:
        return _already_live(live, judged, member=member, by=by, context=context)
    if judged.lock is not None and judged.named is not None:
        raise RacedError  # the binding to renew has ended meanwhile
    if judged.choice is not None and judged.choice.act != Act.ANOTHER and judged.named is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "the key became known since the question: the choice was about another binding")
    current = current_version(lock)
    if current is not None:
        require_not_expired_beside(current, proven, at=context.at)
    take_version(lock, proven, current, at=context.at)
    return _new_binding(lock, judged, member=member, by=by, context=context)


def _new_binding(lock: Lock, judged: Judged, *, member: Account, by: Account, context: RequestContext) -> Binding:
    awaits = awaited(member=member, by=by, ca=judged.proven.ca_spki_sha256)
    binding = Binding(lock=lock, account=member, bound_by=by, bound_at=context.at, site=context.site, awaits=awaits)
    binding.by_lock_id = _lock_behind(by, context) if by.pk == member.pk else None
    binding.save(force_insert=True)
    _end_enrolment(member)
    end_claims_on(judged.proven, member, by=by, context=context)
    event = _record(Event.BINDING_ADDED, binding, judged.proven, by=by, context=context)
    _tell(binding, event, by=by, context=context)
    if judged.named is not None:
        end_replaced(judged.named, lock, by=by, context=context)
    return binding


def _lock_behind(by: Account, context: RequestContext) -> uuid.UUID | None:
    """The lock that the person's proof stands on, if any: its finder would get a lock of their own so, and the person is told."""
    session = context.session
    if session is not None and is_fresh_by_lock(session, at=context.at):
        return session.proved_lock_id
    return lock_of_password(by, at=context.at)


def _tell(binding: Binding, event: AuditEvent, *, by: Account, context: RequestContext) -> None:
    """Tell whose lock it is, and by which proof it was bound; not yet where another administrator is to consent."""
    account, lock_id = binding.account_id, binding.lock.lock_id
    if by.pk != account:
        kind = NoticeKind.LOCK_AWAITS if binding.awaits == Awaits.MEMBER else NoticeKind.LOCK_BOUND
        if binding.awaits != Awaits.ADMINISTRATOR:
            notify(kind, account=account, by=by, row=event, lock=lock_id)
    elif binding.by_lock is None:
        notify(NoticeKind.LOCK_BOUND, account=account, by=by, row=event, own=Own.QUIETLY, lock=lock_id, **_BY_PASSWORD)
    else:
        by_lock = context.session is not None and is_fresh_by_lock(context.session, at=context.at)
        proof = {"by_lock": binding.by_lock.lock_id} if by_lock else _BY_PASSWORD
        notify(NoticeKind.LOCK_BOUND, account=account, by=by, row=event, own=Own.ALOUD, lock=lock_id, **proof)


def _end_enrolment(member: Account) -> None:
    """The operator has a lock again: from now on nothing is bound with the password."""
    if member.lock_enrolment_until is not None:
        member.lock_enrolment_until = None
        member.save(update_fields=["lock_enrolment_until"])


def _already_live(live: Binding, judged: Judged, *, member: Account, by: Account, context: RequestContext) -> Binding:
    about, proven = {"lock": live.lock_id}, judged.proven
    if live.suspended_at is not None:
        raise Refusal(Reason.LOCK_REPORTED_LOST, "the lock was reported lost", provider_facts(proven.provider), about=about)
    if live.account_id != member.pk:
        facts = {"holder": mask_name(live.account.name), "since": day_text(live.bound_at)}
        raise Refusal(Reason.LOCK_BOUND_TO_OTHER, "the lock has a live binding", facts, about=about)
    current = current_version(live.lock)
    if current is None or is_same(current, proven.certificate):
        raise Refusal(Reason.LOCK_ALREADY_BOUND, "the lock is bound to this account", about=about)
    require_heir(current, proven, judged.predecessor, at=context.at)
    require_intact(live)
    take_version(live.lock, proven, current, at=context.at)
    seal_as_before(live)
    _end_enrolment(member)
    event = _record(Event.CERTIFICATE_RENEWED, live, proven, by=by, context=context)
    notify(NoticeKind.LOCK_RENEWED, account=member.pk, by=by, row=event, own=Own.QUIETLY, lock=live.called)
    return live


def _record(event: Event, binding: Binding, proven: ProvenCertificate, *, by: Account, context: RequestContext) -> AuditEvent:
    row = record(
        event,
        context=context,
        actor=by,
        subject=binding.account_id,
        organisation=binding.account.organisation_id,
        lock=binding.lock_id,
        provider=proven.provider,
        details={
            "binding": str(binding.pk),
            "for_other": binding.account_id != by.pk,
            "holder": proven.holder_kind or "none",
            **proven.details,
        },
    )
    keep(proven.draft, row, subject=binding.account_id, binding=binding.pk)
    driver = str(proven.details.get("driver_key", ""))
    if driver and not is_known_driver(by.pk, driver):
        note_new_driver(by.pk, driver, row=row, context=context)
    return row
