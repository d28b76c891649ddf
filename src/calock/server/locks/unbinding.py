"""End a binding: by the account's own person or their administrator, by two operators, or because a new lock takes its place."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from functools import partial

from django.db import transaction

from calock.core.challenge import Purpose
from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.attempts import counted
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.challenges.services import Aim
from calock.server.locks.ending_notices import withdraw_reminders
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.locks.password_rules import goes_by_lock, refuse_power_after_reset
from calock.server.locks.predecessors import predecessor_status
from calock.server.locks.standing import (
    Fallen,
    doubt_what_stands_on,
    end_what_stands_on,
    hand_on,
    password_stands_on,
)
from calock.server.locks.step_up import Evidence, Proved, prove
from calock.server.locks.versions import take_turn
from calock.server.locks.ways_in import ways_in
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import Own, notify
from calock.server.receipts.services import keep
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_lock, is_fresh_by_lock
from calock.server.tools.retry import again_when_broken_off

MAX_REASON = 200


def unbind_lock(*, binding: uuid.UUID, reason: str, evidence: Evidence, by: Account, context: RequestContext) -> Binding:
    """End a binding. The history stays; sessions that stood on the lock end with it.

    ``by`` sees the binding: their own, or as administrator their organisation's. ``evidence`` proves ``by`` themselves.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED, REASON_MISSING, LAST_LOCK, PASSWORD_RESET_LATELY, STEP_UP_REQUIRED,
            STEP_UP_FAILED, what a step-up answer can be refused for. Each is audited. TOO_MANY_ATTEMPTS.
    """
    with counted("unbind", Event.BINDING_END_REFUSED, context=context, actor=by, details={"binding": str(binding)}) as about:
        row = Binding.objects.visible_to(by).select_related("account", "lock__provider").filter(pk=binding).first()
        if row is not None:
            about |= {"subject": row.account_id, "lock": row.lock_id, "provider": row.lock.provider.code}
        why = _require_endable(row, _reason(reason))
        assert row is not None
        others = _other_ways_in(row, context) if row.account_id == by.pk else None
        proved = prove(by, evidence, aim=Aim(Purpose.UNBIND, binding=row.pk), context=context)
        if row.account_id != by.pk:
            refuse_power_after_reset(by, lock=proved.lock, at=context.at)
        return _end(row, why, by=by, context=context, proved=proved, others=others)


def _require_endable(row: Binding | None, reason: str) -> str:
    if row is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "not among the bindings this account sees")
    if row.unbound_at is not None:
        raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended before")
    if not reason:
        raise Refusal(Reason.REASON_MISSING, "no reason given")
    return reason


def _other_ways_in(row: Binding, context: RequestContext) -> frozenset[uuid.UUID]:
    """The account's other bindings whose locks log in as things stand. Not inside a transaction: as ``predecessor_status``.

    Raises:
        Refusal: LAST_LOCK, as ``_require_other_way_in``.
    """
    others = [way for way in ways_in(row.account, at=context.at) if way.binding.pk != row.pk]
    found = frozenset(way.binding.pk for way in others if _is_live(way.certificate, context.at))
    _require_other_way_in(row.account, row, found, context)
    return found


def _is_live(certificate: LockCertificate, at: datetime) -> bool:
    standing = predecessor_status(certificate, at=at)
    return not standing.revoked and not standing.doubt


def _require_other_way_in(account: Account, row: Binding, others: frozenset[uuid.UUID], context: RequestContext) -> None:
    """``others``: bindings whose locks log in. A password does unless the account goes by its lock and one, good or not, stays."""
    left = Binding.objects.logging_in().filter(account=account).exclude(pk=row.pk)
    if left.filter(pk__in=others).exists():
        return
    # a password that stands on the lock ends with it
    no_password = not account.has_usable_password() or password_stands_on(row, account, at=context.at)
    if no_password or (goes_by_lock(account, site=context.site) and left.exists()):
        raise Refusal(Reason.LAST_LOCK, "no password that does, and no other lock that logs in")


def _reason(text: str) -> str:
    return clean(mask_person_ids(text.strip()), MAX_REASON)


@again_when_broken_off
def _end(
    row: Binding,
    reason: str,
    *,
    by: Account,
    context: RequestContext,
    proved: Proved | None = None,
    others: frozenset[uuid.UUID] | None = None,
    fall: Callable[..., Fallen] = end_what_stands_on,
    heir: Lock | None = None,
    told: bool = True,
) -> Binding:
    """``proved``: what is known of the lock that ``by`` proved themselves with.

    ``others``: the account's bindings with which it gets in; None: nobody asks for another way in.

    ``fall``: what becomes of what stands on the lock, called as ``end_what_stands_on``.

    ``heir``: the lock that takes its place.

    ``told``: False where the act that it belongs to leaves a notice of all that ended.
    """
    with transaction.atomic():
        account = row.account = Account.objects.select_for_update(no_key=True).get(pk=row.account_id)
        take_turn(row.lock)
        live = Binding.objects.live().filter(pk=row.pk)
        if others is not None and live.exists():
            _require_other_way_in(account, row, others, context)  # asked again: two bindings may be ended at once
        if not live.update(unbound_at=context.at, unbound_by=by, replaced_by=heir, reason=reason, awaits="", mac=""):
            raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended by somebody else at this moment")
        fallen = fall(row, by=by, context=context)
        ended = end_sessions_of_lock(lock_id=row.lock_id, reason="lock unbound", at=context.at)
        event = record(
            Event.BINDING_ENDED,
            context=context,
            actor=by,
            subject=row.account_id,
            organisation=row.account.organisation_id,
            lock=row.lock_id,
            provider=row.lock.provider.code,
            details={
                "binding": str(row.pk),
                "sessions_ended": ended,
                "for_other": row.account_id != by.pk,
                **fallen.details,
                **(proved.details if proved else {}),
            },
        )
        if proved is not None and proved.draft is not None:
            keep(proved.draft, event, subject=row.account_id, binding=row.pk)
        withdraw_reminders(row, at=context.at)
        if told:
            facts = {"lock": row.called, **fallen.facts}
            notify(
                NoticeKind.LOCK_UNBOUND,
                account=row.account_id,
                by=by,
                row=event,
                own=Own.ALOUD if fallen.facts else Own.NOT,
                **facts,
            )
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
    return _end(row, _reason(reason), by=by, context=context)


def end_of_leaver(binding: Binding, reason: str, *, by: Account, context: RequestContext) -> None:
    """End a binding of somebody who leaves. Inside the caller's transaction, which has judged ``by`` and taken the lock's turn.

    Their contacts go on being told, and open nothing when the account is enabled again.

    Raises:
        Refusal: BINDING_ALREADY_ENDED.
    """
    _end(binding, f"离职：{reason}"[:MAX_REASON], by=by, context=context, fall=doubt_what_stands_on, told=False)


def end_replaced(binding: Binding, heir: Lock, *, by: Account, context: RequestContext) -> None:
    """End a binding whose lock was just replaced by ``heir``, another one of the same account. Inside the caller's transaction.

    By a proof with the lock that goes, what stands on it is handed on: ending the heir ends that too. By any other proof the lock
    may be lost.

    Raises:
        Refusal: BINDING_ALREADY_ENDED.
    """
    session = context.session if by.pk == binding.account_id else None
    proved = session is not None and is_fresh_by_lock(session, at=context.at) and session.proved_lock_id == binding.lock_id
    fall = partial(hand_on, heir=heir) if proved else end_what_stands_on
    _end(binding, "已由新锁替换", by=by, context=context, fall=fall, heir=heir)
