"""挂失 and 恢复使用: a lock that its person cannot find logs nobody in, at once, and still belongs to their account.

Those stop it whose business it is: the person with no lock in hand, their administrator, an operator (电子签名法 art. 15). It
comes back with the lock *and* another proof of the account, or by an administrator: a finder has the lock alone. A stolen password
can stop a lock too, so the person and their administrators are told every time. The certificate is the CA's to revoke.
"""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager

from django.db import transaction

from calock.core.challenge import Purpose
from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.attempts import counted
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record
from calock.server.challenges.services import Aim
from calock.server.locks.decision_record import Details
from calock.server.locks.ending_notices import withdraw_reminders
from calock.server.locks.models import Binding
from calock.server.locks.password_rules import refuse_password_as_proof, refuse_power_after_reset
from calock.server.locks.row_seals import require_intact
from calock.server.locks.standing import Fallen, end_what_stands_on, password_stands_on
from calock.server.locks.step_up import Evidence, Proved, prove
from calock.server.locks.versions import take_turn
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import Own, notify
from calock.server.receipts.services import keep
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_lock, is_fresh_by_lock, require_fresh
from calock.server.tools.masking import mask_name
from calock.server.tools.retry import again_when_broken_off

MAX_REASON = 200
TOLD = 20
"""Administrators of an organisation that hear of one lost lock."""


def suspend_lock(*, binding: uuid.UUID, reason: str, by: Account, context: RequestContext) -> Binding:
    """Report a lock lost. ``by`` sees the binding, and proved themselves in the last minutes; which way does not matter.

    A lock that is reported lost already stays so.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED, STEP_UP_REQUIRED, TOO_MANY_ATTEMPTS. Each is audited.
    """
    with _counted(binding, by, context):
        row = _seen(binding, by)
        require_fresh(context)
        return _suspend(row, reason, by=by, context=context)


def suspend_by_operator(*, binding: uuid.UUID, reason: str, by: Account, context: RequestContext) -> Binding:
    """The same for somebody who rang. What ends with it, a password or contacts of the last month, the person makes anew.

    So one operator does it alone.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED, REASON_MISSING; NOT_ALLOWED for another operator's lock.
    """
    row = _endable(Binding.objects.select_related("account", "lock__provider").filter(pk=binding).first())
    if row.account.role == Role.OPERATOR and row.account_id != by.pk:
        raise Refusal(Reason.NOT_ALLOWED, "an operator's lock is stopped by disabling the operator, which takes two")
    if not reason.strip():
        raise Refusal(Reason.REASON_MISSING, "no reason given")
    return _suspend(row, reason, by=by, context=context)


def resume_lock(*, binding: uuid.UUID, reason: str, evidence: Evidence, by: Account, context: RequestContext) -> Binding:
    """Let a lost lock be used again.

    The account's own person answers with this very lock (``evidence``, purpose ``resume``), after a proof of the last minutes that
    is not by it. An administrator, for a member, gives a ``reason`` instead of the lock.

    Raises:
        Refusal: BINDING_NOT_FOUND (also when it is not reported lost), BINDING_ALREADY_ENDED, STEP_UP_REQUIRED, STEP_UP_FAILED,
            LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, REASON_MISSING, what the lock's answer is refused for, TOO_MANY_ATTEMPTS,
            RECORD_DAMAGED, OPERATOR_DAMAGED. Each is audited.
    """
    with _counted(binding, by, context):
        row = _seen(binding, by)
        if row.suspended_at is None:
            raise Refusal(Reason.BINDING_NOT_FOUND, "not reported lost")
        proved = _may_resume(row, reason, evidence, by=by, context=context)
        return _resume(row, reason, by=by, context=context, proved=proved)


def _may_resume(row: Binding, reason: str, evidence: Evidence, *, by: Account, context: RequestContext) -> Proved | None:
    session = require_fresh(context)
    by_lock = is_fresh_by_lock(session, at=context.at)
    if not by_lock:
        refuse_password_as_proof(by, site=context.site, at=context.at)
        if password_stands_on(row, by, at=context.at):
            raise Refusal(Reason.LOCK_PROOF_REQUIRED, "a password that the lost lock chose proves nothing about it")
    if row.account_id != by.pk:
        refuse_power_after_reset(by, lock=session.proved_lock_id if by_lock else None, at=context.at)
        if not reason.strip():
            raise Refusal(Reason.REASON_MISSING, "no reason given")
        return None
    if not evidence.token:
        raise Refusal(Reason.STEP_UP_REQUIRED, "the lock itself must answer")
    proved = prove(by, evidence, aim=Aim(Purpose.RESUME, binding=row.pk), context=context)
    if proved.lock != row.lock_id:
        raise Refusal(Reason.STEP_UP_FAILED, "another lock of the account", about={"how": "lock"})
    return proved


def _seen(binding: uuid.UUID, by: Account) -> Binding:
    return _endable(Binding.objects.visible_to(by).select_related("account", "lock__provider").filter(pk=binding).first())


def _endable(row: Binding | None) -> Binding:
    if row is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "not among the bindings this account sees")
    if row.unbound_at is not None:
        raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended before")
    return row


def _counted(binding: uuid.UUID, by: Account, context: RequestContext) -> AbstractContextManager[object]:
    return counted("suspend", Event.BINDING_SUSPEND_REFUSED, context=context, actor=by, details={"binding": str(binding)})


def _taken(row: Binding) -> Binding:
    """The live binding as it is now, with account and lock held, in the order in which all take them.

    Raises:
        Refusal: BINDING_ALREADY_ENDED.
    """
    Account.objects.select_for_update(no_key=True).get(pk=row.account_id)
    take_turn(row.lock)
    now: Binding | None = Binding.objects.live().select_related("account", "lock__provider").filter(pk=row.pk).first()
    if now is None:
        raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended by somebody else at this moment")
    return now


@again_when_broken_off
def _suspend(row: Binding, reason: str, *, by: Account, context: RequestContext) -> Binding:
    with transaction.atomic():
        row = _taken(row)
        if row.suspended_at is not None:
            return row
        row.suspended_at, row.suspended_by = context.at, by
        row.suspend_reason = clean(mask_person_ids(reason.strip()), MAX_REASON)
        row.save_closed(update_fields=["suspended_at", "suspended_by", "suspend_reason"])
        fallen = end_what_stands_on(row, by=by, context=context)
        ended = end_sessions_of_lock(lock_id=row.lock_id, reason="lock reported lost", at=context.at)
        details = {"sessions_ended": ended, **fallen.details}
        event = _record(Event.BINDING_SUSPENDED, row, by=by, context=context, details=details)
        withdraw_reminders(row, at=context.at)
        _tell(row, event, fallen, by=by)
    return row


@again_when_broken_off
def _resume(row: Binding, reason: str, *, by: Account, context: RequestContext, proved: Proved | None) -> Binding:
    with transaction.atomic():
        seen, row = row.suspended_at, _taken(row)
        require_intact(row)
        if row.suspended_at != seen:
            raise Refusal(Reason.BINDING_NOT_FOUND, "resumed, or reported lost again, meanwhile")
        row.suspended_at, row.suspended_by, row.suspend_reason, row.resumed_at = None, None, "", context.at
        row.save(update_fields=["suspended_at", "suspended_by", "suspend_reason", "resumed_at"])
        why = {"reason": clean(mask_person_ids(reason.strip()), MAX_REASON)} if reason.strip() else {}
        event = _record(Event.BINDING_RESUMED, row, by=by, context=context, details={**why, **(proved.details if proved else {})})
        if proved is not None and proved.draft is not None:
            keep(proved.draft, event, subject=row.account_id, binding=row.pk)
        notify(NoticeKind.LOCK_RESUMED, account=row.account_id, by=by, row=event, own=Own.ALOUD, lock=row.called)
    return row


def _record(event: Event, row: Binding, *, by: Account, context: RequestContext, details: Details) -> AuditEvent:
    return record(
        event,
        context=context,
        actor=by,
        subject=row.account_id,
        organisation=row.account.organisation_id,
        lock=row.lock_id,
        provider=row.lock.provider.code,
        details={"binding": str(row.pk), "for_other": row.account_id != by.pk, **details},
    )


def _tell(row: Binding, event: AuditEvent, fallen: Fallen, *, by: Account) -> None:
    """The person, whoever did it, with what ended beside the lock, and the administrators of their organisation.

    These without the lock's label, which is forgotten when the person is erased.
    """
    notify(NoticeKind.LOCK_SUSPENDED, account=row.account_id, by=by, row=event, own=Own.ALOUD, lock=row.called, **fallen.facts)
    administrators = Account.objects.filter(organisation=row.account.organisation_id, role=Role.ORGANISATION_ADMIN)
    if row.account.organisation_id is None:
        return
    for administrator in administrators.exclude(pk__in=(row.account_id, by.pk)).order_by("pk")[:TOLD]:
        notify(
            NoticeKind.MEMBER_LOCK_SUSPENDED,
            account=administrator.pk,
            by=by,
            row=event,
            lock=row.lock.lock_id,
            member=mask_name(row.account.name),
        )
