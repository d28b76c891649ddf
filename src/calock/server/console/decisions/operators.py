"""What two operators decide about a third: whether they are one, and a time in which they may bind a lock."""

from __future__ import annotations

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.members import write_account_state
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.operators import ENROLMENT, open_enrolment
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.console.decisions.accounts import Facts, account_of, facts_of
from calock.server.sessions.context import RequestContext

STATE = "operator.state"
LOCK_ENROLMENT = "operator.enrolment"


def propose_operator_state(
    *, member: Account, state: AccountState, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Disable or enable an operator: an operator cannot remove the one who must agree.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role != Role.OPERATOR or member.pk == by.pk or member.state == state:
        raise Refusal(Reason.REQUEST_MALFORMED, "只能对另一位运营人员提出，且状态须有变化")
    return propose(
        kind=STATE,
        target=str(member.pk),
        payload={"state": state.value},
        summary=f"{'启用' if state == AccountState.ACTIVE else '停用'}运营人员 {member.username}",
        reason=reason,
        by=by,
        context=context,
    )


def propose_enrolment(*, member: Account, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Let another operator bind a lock with the password: their first, or when all of theirs are lost.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role != Role.OPERATOR or member.pk == by.pk:
        raise Refusal(Reason.REQUEST_MALFORMED, "只能为另一位运营人员提出")
    return propose(
        kind=LOCK_ENROLMENT,
        target=str(member.pk),
        payload={},
        summary=f"允许运营人员 {member.username} 绑定 CA 锁",
        reason=reason,
        by=by,
        context=context,
    )


# --- the acts, inside the approval's transaction


def _set_state(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member, state = account_of(approval.target), AccountState(approval.payload["state"])
    if member.role != Role.OPERATOR or member.state == state:
        raise Refusal(Reason.VERSION_CHANGED, "the account changed since the proposal")
    write_account_state(member=member, state=state, by=operator, context=context)


def _open_enrolment(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    if approval.target == str(operator.pk):
        raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "nobody approves their own enrolment")
    open_enrolment(operator=account_of(approval.target), by=operator, context=context)


# --- what the second operator reads


def _state_facts(approval: Approval) -> Facts:
    _member, facts = facts_of(approval)
    return [*facts, ("操作", Alarm("启用" if approval.payload["state"] == AccountState.ACTIVE else "停用，其会话随即结束"))]


def _enrolment_facts(approval: Approval) -> Facts:
    _member, facts = facts_of(approval)
    hours = int(ENROLMENT.total_seconds() // 3600)
    return [*facts, ("权限", Alarm(f"{hours} 小时内可用密码登录并绑定一把 CA 锁，此后以该锁进入控制台"))]


def register_kinds() -> None:
    """Name these decisions; called once at start-up."""
    register_kind(Kind(LOCK_ENROLMENT, "允许运营人员绑定 CA 锁", _open_enrolment, _enrolment_facts))
    register_kind(Kind(STATE, "停用或启用运营人员", _set_state, _state_facts))
