"""Bind a lock to an account, and end a binding. The database decides every race: one live binding per lock, one lock per key."""

from __future__ import annotations

import uuid

from django.db import IntegrityError, transaction

from calock.core.challenge import Challenge, Purpose
from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record, record_refusal
from calock.server.challenges.services import Aim, spend
from calock.server.locks.answers import Proof, answering, judge, provider_facts
from calock.server.locks.consent import awaited
from calock.server.locks.decision_record import Details
from calock.server.locks.holder import ProvenCertificate
from calock.server.locks.models import Awaits, Binding, Lock
from calock.server.locks.operator_rules import require_enrolment, require_own_person
from calock.server.locks.operator_seals import require_intact, seal_binding
from calock.server.locks.password_rules import refuse_password_as_proof, refuse_power_after_reset
from calock.server.locks.predecessors import PredecessorStatus, RacedError
from calock.server.locks.revocations import require_not_revoked
from calock.server.locks.step_up import Evidence, prove
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
from calock.server.notices.services import notify
from calock.server.providers.models import Provider
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_lock, forget_lock_proofs, is_fresh, is_fresh_by_lock
from calock.server.tools import throttle
from calock.server.tools.masking import mask_name
from calock.server.tools.retry import again_when_broken_off
from calock.server.tools.times import day_text
from calock.wire.driver import ReportedDevice

MAX_REASON = 200
ATTEMPTS = 4
"""How often a bind that lost a race is looked at again; the second look finds the winner's rows."""


def bind_lock(
    *,
    member: Account,
    provider: str,
    challenge: str,
    token: bytes,
    device: ReportedDevice | None,
    by: Account,
    context: RequestContext,
) -> Binding:
    """Bind the answering lock to ``member``, or confirm its renewed certificate when it is bound to them already.

    ``by`` is the member or their organisation's administrator, with a proof of themselves not older than five minutes.

    Raises:
        Refusal: NOT_FOUND (a member outside ``by``'s authority), STEP_UP_REQUIRED, everything the answer can be refused for,
            PROVIDER_MISMATCH, HOLDER_NOT_ORGANISATION, LOCK_BOUND_TO_OTHER, LOCK_ALREADY_BOUND, LOCK_HOLDER_CHANGED,
            KEY_ALREADY_KNOWN, PREDECESSOR_REVOKED, CERTIFICATE_SUPERSEDED, OPERATOR_HOLDER_KNOWN. Each is audited.
    """
    throttle.refuse_when_too_many("bind", context.sender)  # before anything is recorded: one row a minute says it
    try:
        require_may_bind(member=member, by=by, context=context)
        return _bind_answer(
            member=member, provider=provider, challenge=challenge, token=token, device=device, by=by, context=context
        )
    except Refusal as refusal:
        throttle.count_failure("bind", context.sender)
        details = {"chosen": provider} if provider else {}
        record_refusal(Event.BINDING_REFUSED, refusal, context=context, actor=by, subject=member.pk, details=details)
        raise


def require_may_bind(*, member: Account, by: Account, context: RequestContext) -> None:
    """Whether ``by`` may bind a lock for ``member`` now.

    Raises:
        Refusal: NOT_FOUND, STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, LOCK_ENROLMENT_CLOSED.
    """
    if not Account.objects.bindable_by(by).filter(pk=member.pk).exists():
        raise Refusal(Reason.NOT_FOUND, "not an account that this one may bind for")
    if context.session is None or not is_fresh(context.session, at=context.at):
        raise Refusal(Reason.STEP_UP_REQUIRED, "the last proof is older than five minutes")
    by_lock = is_fresh_by_lock(context.session, at=context.at)
    if not by_lock:
        refuse_password_as_proof(by, site=context.site, at=context.at)
        require_enrolment(by, at=context.at)
    if member.pk != by.pk:
        refuse_power_after_reset(by, lock=context.session.proved_lock_id if by_lock else None, at=context.at)


def _bind_answer(
    *,
    member: Account,
    provider: str,
    challenge: str,
    token: bytes,
    device: ReportedDevice | None,
    by: Account,
    context: RequestContext,
) -> Binding:
    aim = Aim(Purpose.BIND, member=member.pk, provider=provider)
    with answering(challenge, token, aim=aim, context=context) as attempt:
        chosen = Provider.objects.filter(code=provider).first()
        expired_allowed = chosen is not None and chosen.allow_expired_binding
        proof = judge(attempt, context=context, device=device, provider=provider, expired_allowed=expired_allowed)
        _require_own_organisation(proof, member)
        require_not_revoked(proof.issuer.spki_sha256, proof.certificate.serial_hex)
        return _bind_until_decided(proof.challenge, ProvenCertificate.of(proof), member=member, by=by, context=context)


def _require_own_organisation(proof: Proof, member: Account) -> None:
    """A certificate of an organisation is bound only to that organisation's members; a personal one is not asked.

    Nor is one that names no holder: the provider's rules decide whether such a certificate is taken at all
    (``identity.holder_required``), and the row says ``holder: none``.
    """
    if proof.identity.holder_kind != "uscc":
        return
    own = member.organisation.uscc if member.organisation else ""
    if own != proof.identity.holder_id:
        facts = provider_facts(proof.provider.code)
        raise Refusal(Reason.HOLDER_NOT_ORGANISATION, "the certificate names another organisation", facts)


def _bind_until_decided(
    challenge: Challenge, proven: ProvenCertificate, *, member: Account, by: Account, context: RequestContext
) -> Binding:
    for _ in range(ATTEMPTS):
        standing = predecessor_of(proven, lock_of(proven), at=context.at)
        try:
            return _bind_once(challenge, proven, standing, member=member, by=by, context=context)
        except (IntegrityError, RacedError):
            continue  # somebody else inserted the lock, its key, a version or the binding between our look and our insert
    raise Refusal(Reason.SERVER_BUSY, "lost every race")


@again_when_broken_off
def _bind_once(
    challenge: Challenge,
    proven: ProvenCertificate,
    standing: PredecessorStatus | None,
    *,
    member: Account,
    by: Account,
    context: RequestContext,
) -> Binding:
    with transaction.atomic():
        spend(challenge)
        if member.role == Role.OPERATOR:
            member = require_own_person(member, proven.holder_hmacs)
        return _bind_rows(proven, standing, member=member, by=by, context=context)


def _bind_rows(
    proven: ProvenCertificate, standing: PredecessorStatus | None, *, member: Account, by: Account, context: RequestContext
) -> Binding:
    lock = lock_of(proven)
    if lock is not None:
        take_turn(lock)
    live = Binding.objects.live().select_related("account").filter(lock=lock).first() if lock else None
    if lock is not None and live is not None:
        return _already_live(lock, live, proven, standing, member=member, by=by, context=context)
    if lock is None:
        lock = Lock(provider=Provider.objects.get(code=proven.provider), lock_id=proven.lock_ids[0])
        lock.save(force_insert=True)
    current = current_version(lock)
    if current is not None:
        require_not_expired_beside(current, proven, at=context.at)
    take_version(lock, proven, current, at=context.at)
    awaits = awaited(member=member, by=by, site=context.site)
    binding = Binding(lock=lock, account=member, bound_by=by, bound_at=context.at, site=context.site, awaits=awaits)
    binding.save(force_insert=True)
    seal_binding(binding)
    if member.lock_enrolment_until is not None:
        member.lock_enrolment_until = None
        member.save(update_fields=["lock_enrolment_until"])
    event = _record(Event.BINDING_ADDED, binding, proven, by=by, context=context)
    kind = NoticeKind.LOCK_AWAITS if awaits == Awaits.MEMBER else NoticeKind.LOCK_BOUND
    if awaits != Awaits.ADMINISTRATOR:  # told when the other administrator consents
        notify(kind, account=member.pk, by=by, row=event, lock=lock.lock_id)
    return binding


def _already_live(
    lock: Lock,
    live: Binding,
    proven: ProvenCertificate,
    standing: PredecessorStatus | None,
    *,
    member: Account,
    by: Account,
    context: RequestContext,
) -> Binding:
    about = {"lock": lock.pk}
    if live.account_id != member.pk:
        facts = {"holder": mask_name(live.account.name), "since": day_text(live.bound_at)}
        raise Refusal(Reason.LOCK_BOUND_TO_OTHER, "the lock has a live binding", facts, about=about)
    current = current_version(lock)
    if current is None or is_same(current, proven.certificate):
        raise Refusal(Reason.LOCK_ALREADY_BOUND, "the lock is bound to this account", about=about)
    require_heir(current, proven, standing, at=context.at)
    require_intact(live)
    take_version(lock, proven, current, at=context.at)
    seal_binding(live)
    _record(Event.CERTIFICATE_RENEWED, live, proven, by=by, context=context)
    return live


def _record(event: Event, binding: Binding, proven: ProvenCertificate, *, by: Account, context: RequestContext) -> AuditEvent:
    return record(
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


def unbind_lock(*, binding: uuid.UUID, reason: str, evidence: Evidence, by: Account, context: RequestContext) -> Binding:
    """End a binding. The history stays; sessions that stood on the lock end with it.

    ``by`` sees the binding: their own, or as administrator their organisation's. ``evidence`` proves ``by`` themselves.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED, REASON_MISSING, LAST_LOCK, PASSWORD_RESET_LATELY, STEP_UP_REQUIRED,
            STEP_UP_FAILED, what a step-up answer can be refused for. Each is audited. TOO_MANY_ATTEMPTS.
    """
    throttle.refuse_when_too_many("unbind", context.sender)
    row: Binding | None = None
    try:
        row = Binding.objects.visible_to(by).select_related("account", "lock__provider").filter(pk=binding).first()
        why = _require_endable(row, _reason(reason), by=by)
        assert row is not None
        proved = prove(by, evidence, aim=Aim(Purpose.UNBIND, binding=row.pk), context=context)
        if row.account_id != by.pk:
            refuse_power_after_reset(by, lock=proved.lock, at=context.at)
        return _end(row, why, by=by, context=context, proved=proved.details)
    except Refusal as refusal:
        throttle.count_failure("unbind", context.sender)
        record_refusal(
            Event.BINDING_END_REFUSED,
            refusal,
            context=context,
            actor=by,
            subject=row.account_id if row else None,
            lock=row.lock_id if row else None,
            provider=row.lock.provider.code if row else "",
            details={"binding": str(binding)},
        )
        raise


def _require_endable(row: Binding | None, reason: str, *, by: Account) -> str:
    if row is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "not among the bindings this account sees")
    if row.unbound_at is not None:
        raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended before")
    if not reason:
        raise Refusal(Reason.REASON_MISSING, "no reason given")
    if row.account_id == by.pk:
        _require_other_way_in(by, row)
    return reason


def _require_other_way_in(account: Account, row: Binding) -> None:
    others = Binding.objects.logging_in().filter(account=account).exclude(pk=row.pk)
    if not account.has_usable_password() and not others.exists():
        raise Refusal(Reason.LAST_LOCK, "the account has no password and no other lock")


def _reason(text: str) -> str:
    return clean(mask_person_ids(text.strip()), MAX_REASON)


@again_when_broken_off
def _end(row: Binding, reason: str, *, by: Account, context: RequestContext, proved: Details) -> Binding:
    """``proved``: what is known of the lock that ``by`` proved themselves with."""
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=row.account_id)
        take_turn(row.lock)
        live = Binding.objects.live().filter(pk=row.pk)
        if row.account_id == by.pk and live.exists():
            _require_other_way_in(account, row)  # asked again: two bindings may be ended at once
        if not live.update(unbound_at=context.at, unbound_by=by, reason=reason, awaits="", mac=""):
            raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended by somebody else at this moment")
        ended = end_sessions_of_lock(lock_id=row.lock_id, reason="lock unbound", at=context.at)
        forget_lock_proofs(account_id=row.account_id, lock_id=row.lock_id)
        event = record(
            Event.BINDING_ENDED,
            context=context,
            actor=by,
            subject=row.account_id,
            organisation=row.account.organisation_id,
            lock=row.lock_id,
            provider=row.lock.provider.code,
            details={"binding": str(row.pk), "sessions_ended": ended, "for_other": row.account_id != by.pk, **proved},
        )
        notify(NoticeKind.LOCK_UNBOUND, account=row.account_id, by=by, row=event, lock=row.lock.lock_id)
    row.unbound_at, row.unbound_by, row.reason = context.at, by, reason
    return row


def unbind_by_operators(*, binding: uuid.UUID, reason: str, by: Account, context: RequestContext) -> Binding:
    """End a binding as two operators decided; the caller has checked both. Inside the caller's transaction.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED.
    """
    row = Binding.objects.select_related("account", "lock__provider").filter(pk=binding).first()
    if row is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "no such binding")
    return _end(row, _reason(reason), by=by, context=context, proved={})
