"""Emergency unbind: two operators end a binding that neither its holder nor the organisation's administrator can end."""

from __future__ import annotations

import uuid

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.locks.models import Binding
from calock.server.locks.unbinding import unbind_by_operators
from calock.server.sessions.context import RequestContext
from calock.server.tools.masking import mask_name

EMERGENCY_UNBIND = "binding.emergency_unbind"


def propose_unbind(*, binding: Binding, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Ask a second operator to end a binding.

    Raises:
        Refusal: BINDING_ALREADY_ENDED, or as ``approvals.services.propose``.
    """
    if binding.unbound_at is not None:
        raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended before")
    return propose(
        kind=EMERGENCY_UNBIND,
        target=str(binding.pk),
        payload={"lock": binding.lock.lock_id, "account": str(binding.account_id)},
        summary=f"紧急解绑：CA锁 {binding.lock.lock_id} ↔ {binding.account.username}",
        reason=reason,
        by=by,
        context=context,
    )


def _act(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    if context is None:
        raise Refusal(Reason.NOT_ALLOWED, "an emergency unbind is decided in the console")
    unbind_by_operators(binding=uuid.UUID(approval.target), reason=f"紧急解绑：{approval.reason}", by=operator, context=context)


def _facts(approval: Approval) -> list[tuple[str, str]]:
    row = Binding.objects.select_related("lock__provider", "account__organisation", "bound_by").filter(pk=approval.target).first()
    if row is None:
        return [("绑定", "已不存在")]
    return [
        ("CA锁ID", row.lock.lock_id),
        ("CA 服务商", row.lock.provider.name),
        ("绑定账户", f"{mask_name(row.account.name)}（{row.account.username}）"),
        ("单位", row.account.organisation.name if row.account.organisation else "无"),
        ("绑定时间", f"{row.bound_at:%Y-%m-%d}"),
        ("状态", "绑定中" if row.unbound_at is None else "已解除"),
    ]


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(EMERGENCY_UNBIND, "紧急解除绑定", _act, _facts))
