"""Propose, approve, reject, take back. Who proposes does not approve; what is approved is exactly what was proposed and read."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q

from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import clean_reason, require_operator
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import kind_named, kind_of
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.sessions.context import RequestContext
from calock.server.tools import clock
from calock.server.tools.retry import again_when_broken_off

__all__ = ["approve", "clean_reason", "propose", "reject", "require_operator", "take_back"]


def propose(
    *,
    kind: str,
    target: str,
    payload: dict[str, Any],
    summary: str,
    reason: str,
    by: Account,
    context: RequestContext | None,
    target_version: int = 0,
) -> Approval:
    """Ask a second operator for a decision.

    Raises:
        Refusal: NOT_ALLOWED, REASON_MISSING, or APPROVAL_WAITING when a proposal about the same target is open.
    """
    now = clock.now()
    with transaction.atomic():
        operator = require_operator(by.pk)
        Approval.objects.filter(kind=kind, target=target, state=ApprovalState.PENDING).exclude(
            pk__in=Approval.objects.open_at(now).values("pk")
        ).update(state=ApprovalState.CANCELLED, decided_at=now, note="逾期未复核")
        approval = Approval(
            kind=kind,
            target=target,
            target_version=target_version,
            summary=mask_person_ids(summary)[:300],
            payload=payload,
            reason=clean_reason(reason),
            proposed_by=operator,
            proposed_at=now,
        )
        approval.seal()
        try:
            with transaction.atomic():
                approval.save(force_insert=True)
        except IntegrityError as error:
            raise Refusal(Reason.APPROVAL_WAITING, "a proposal about the same is waiting for a decision") from error
        _record(Event.APPROVAL_PROPOSED, approval, operator, context)
    return approval


def _lock_both(by: Account, approval_id: uuid.UUID) -> None:
    """Lock the rows of proposer and approver in one order: two who approve each other's proposals do not wait for one another."""
    proposer = Approval.objects.filter(pk=approval_id).values("proposed_by")
    both = Account.objects.filter(Q(pk=by.pk) | Q(pk__in=proposer)).order_by("pk")
    _ = list(both.select_for_update(no_key=True).values_list("pk"))


def _lock_ahead(approval_id: uuid.UUID, *, to_end: bool = False) -> None:
    """Lock what comes before the proposal's row. ``to_end``: only when ending it unapproved touches that as well."""
    code = Approval.objects.filter(pk=approval_id).values_list("kind", flat=True).first()
    kind = kind_named(code) if code else None
    if kind is not None and kind.ahead is not None and (kind.ended is not None or not to_end):
        kind.ahead()


def _lock_open(approval_id: uuid.UUID, version: int, *, to_end: bool = False) -> Approval:
    """The proposal, locked, still open and still the one that was read.

    ``to_end``: also one that somebody damaged; it would otherwise stand in the way of a new one for as long as they like.
    """
    rows = Approval.objects.select_for_update(of=("self",)).select_related("proposed_by")
    approval = rows.filter(pk=approval_id).first()
    if approval is None:
        raise Refusal(Reason.NOT_FOUND, "no such proposal")
    if approval.state != ApprovalState.PENDING or clock.now() >= approval.closes_at:
        raise Refusal(Reason.APPROVAL_CLOSED, "the proposal is decided, taken back or older than 7 days")
    if approval.version != version:
        raise Refusal(Reason.VERSION_CHANGED, "the proposal changed since it was opened")
    if not to_end and not approval.is_intact():
        raise Refusal(Reason.REGISTER_DAMAGED, "the proposal is not the one that was made")
    return approval


@again_when_broken_off
def approve(
    *, approval_id: uuid.UUID, version: int, sha256: str, by: Account, context: RequestContext | None, note: str = ""
) -> Approval:
    """Decide for it and do it, in one transaction. ``sha256`` is the one shown beside the button: what was read is what is done.

    Raises:
        Refusal: SECOND_OPERATOR_NEEDED for the proposer themselves, NOT_ALLOWED for a non-operator or when the proposer is none any
            more, APPROVAL_CLOSED, VERSION_CHANGED, REASON_MISSING for a note that cannot be kept, or what the act itself refuses.
            Nothing is done then.
    """
    note = clean_reason(note) if note.strip() else ""
    with transaction.atomic():
        _lock_both(by, approval_id)
        operator = require_operator(by.pk)
        _lock_ahead(approval_id)
        approval = _lock_open(approval_id, version)
        if approval.proposed_by_id == operator.pk:
            raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "who proposes does not approve")
        require_operator(approval.proposed_by_id)
        if approval.sha256 != sha256:
            raise Refusal(Reason.VERSION_CHANGED, "the proposal is not the one that was read")
        _decide(approval, ApprovalState.APPROVED, operator, note)
        _record(Event.APPROVAL_APPROVED, approval, operator, context)
        kind_of(approval).act(approval, operator, context)
    return approval


@again_when_broken_off
def reject(*, approval_id: uuid.UUID, version: int, by: Account, context: RequestContext | None, note: str) -> Approval:
    """Decide against it; the proposer uses :func:`take_back`.

    Raises:
        Refusal: as :func:`approve`, but a damaged proposal is rejected like any other; REASON_MISSING without a note.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        _lock_ahead(approval_id, to_end=True)
        approval = _lock_open(approval_id, version, to_end=True)
        if approval.proposed_by_id == operator.pk:
            raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "the proposer takes back, and does not reject")
        _decide(approval, ApprovalState.REJECTED, operator, clean_reason(note))
        _record(Event.APPROVAL_REJECTED, approval, operator, context)
        _ended(approval)
    return approval


@again_when_broken_off
def take_back(*, approval_id: uuid.UUID, version: int, by: Account, context: RequestContext | None) -> Approval:
    """The proposer's own withdrawal.

    Raises:
        Refusal: NOT_ALLOWED for anybody else, APPROVAL_CLOSED, VERSION_CHANGED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        _lock_ahead(approval_id, to_end=True)
        approval = _lock_open(approval_id, version, to_end=True)
        if approval.proposed_by_id != operator.pk:
            raise Refusal(Reason.NOT_ALLOWED, "only the proposer takes their proposal back")
        _decide(approval, ApprovalState.CANCELLED, operator, "")
        _record(Event.APPROVAL_TAKEN_BACK, approval, operator, context)
        _ended(approval)
    return approval


def _ended(approval: Approval) -> None:
    tidy = kind_of(approval).ended
    if tidy is not None:
        tidy(approval)


def _decide(approval: Approval, state: ApprovalState, operator: Account, note: str) -> None:
    approval.state = state
    approval.decided_by = operator
    approval.decided_at = clock.now()
    approval.note = note
    approval.version += 1
    approval.save(update_fields=["state", "decided_by", "decided_at", "note", "version"])


def _record(event: Event, approval: Approval, operator: Account, context: RequestContext | None) -> None:
    record(
        event,
        actor=operator,
        context=context,
        subject=approval.pk,
        details={
            "kind": approval.kind,
            "target": approval.target,
            "sha256": approval.sha256,
            "reason": approval.reason,
            "summary": approval.summary,
        },
    )
