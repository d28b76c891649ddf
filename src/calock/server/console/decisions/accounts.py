"""What two operators decide about somebody's account: power over others, another organisation, letting passwords in again."""

from __future__ import annotations

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.members import change_role, move_account, write_lock_only
from calock.server.accounts.models import Account, Role
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.console.decisions.lock_only import switch_facts, value_of, value_to_propose
from calock.server.locks.erasure import erase_account, require_erasable
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.tools.masking import mask_name

ADMINISTRATOR = "account.administrator"
MOVE = "account.move"
LOCK_ONLY = "account.lock_only"
ERASURE = "account.erasure"

Facts = list[tuple[str, str]]


def propose_administrator(*, member: Account, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Make a member administrator of their organisation.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role != Role.MEMBER or member.organisation is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "只有单位的普通成员可以设为机构管理员")
    return propose(
        kind=ADMINISTRATOR,
        target=str(member.pk),
        payload={"organisation": str(member.organisation_id)},
        summary=f"将 {member.username} 设为“{member.organisation.name}”的机构管理员",
        reason=reason,
        by=by,
        context=context,
    )


def propose_move(
    *, member: Account, organisation: Organisation, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Move an account to another organisation.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role == Role.OPERATOR or member.organisation_id == organisation.pk or organisation.state == OrganisationState.MERGED:
        raise Refusal(Reason.REQUEST_MALFORMED, "该账户不能转入此单位")
    return propose(
        kind=MOVE,
        target=str(member.pk),
        payload={"from": str(member.organisation_id or ""), "into": str(organisation.pk), "uscc": organisation.uscc},
        summary=f"将 {member.username} 转入“{organisation.name}”",
        reason=reason,
        by=by,
        context=context,
    )


def propose_lock_only(*, member: Account, value: bool | None, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Let the account log in with its password again.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    return propose(
        kind=LOCK_ONLY,
        target=str(member.pk),
        payload=value_to_propose(member.lock_only, value),
        summary=f"变更 {member.username} 的登录方式",
        reason=reason,
        by=by,
        context=context,
    )


def propose_erasure(*, member: Account, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Erase a person, as far as evidence lets it.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    require_erasable(member)
    return propose(
        kind=ERASURE, target=str(member.pk), payload={}, summary="注销一个账户", reason=reason, by=by, context=context
    )  # fmt: skip


# --- the acts, inside the approval's transaction


def account_of(key: str) -> Account:
    """The account that a proposal is about.

    Raises:
        Refusal: NOT_FOUND.
    """
    found: Account | None = Account.objects.select_related("organisation").filter(pk=key).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the account is gone")
    return found


def _make_administrator(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member = account_of(approval.target)
    if str(member.organisation_id) != approval.payload["organisation"] or member.role != Role.MEMBER:
        raise Refusal(Reason.VERSION_CHANGED, "the account changed since the proposal")
    change_role(member=member, role=Role.ORGANISATION_ADMIN, by=operator, context=context)


def _move(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member, target = account_of(approval.target), _target(approval)
    if str(member.organisation_id or "") != approval.payload["from"] or target.uscc != approval.payload["uscc"]:
        raise Refusal(Reason.VERSION_CHANGED, "account or organisation changed since the proposal")
    move_account(member=member, organisation=target, by=operator, context=context)


def _target(approval: Approval) -> Organisation:
    found = Organisation.objects.filter(pk=approval.payload["into"]).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the organisation is gone")
    return found


def _set_lock_only(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member = account_of(approval.target)
    write_lock_only(member=member, value=value_of(approval, now=member.lock_only), by=operator, context=context)


def _erase(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    erase_account(member=account_of(approval.target), by=operator, context=context)


# --- what the second operator reads


def facts_of(approval: Approval) -> tuple[Account | None, Facts]:
    """The account a proposal is about, and what everybody should know of it."""
    member: Account | None = Account.objects.select_related("organisation").filter(pk=approval.target).first()
    if member is None:
        return None, [("账户", "已不存在")]
    return member, [
        ("账户", f"{mask_name(member.name)}（{member.username}）"),
        ("单位", member.organisation.name if member.organisation else "无"),
        ("角色", member.get_role_display()),
        ("绑定中的锁", str(member.bindings.filter(unbound_at__isnull=True).count())),
    ]


def _administrator_facts(approval: Approval) -> Facts:
    member, facts = facts_of(approval)
    if member is None:
        return facts
    others = member.organisation.members.count() - 1 if member.organisation else 0
    return [*facts, ("权限", Alarm(f"可为本单位其他 {others} 个账户重置密码、绑定和解除 CA 锁"))]


def _move_facts(approval: Approval) -> Facts:
    _member, facts = facts_of(approval)
    target = Organisation.objects.filter(pk=approval.payload["into"]).first()
    text = f"{target.name}（{target.uscc}）" if target else "已不存在"
    return [*facts, ("转入", Alarm(text)), ("权限", "转入后为普通成员，由该单位的机构管理员管理")]


def _lock_only_facts(approval: Approval) -> Facts:
    _member, facts = facts_of(approval)
    return [*facts, *switch_facts(approval)]


def _erasure_facts(approval: Approval) -> Facts:
    _member, facts = facts_of(approval)
    return [
        *facts,
        ("删除", Alarm("姓名、账户名、外部编号、密码、会话的地址与浏览器、提醒；不能恢复")),
        ("保留", "绑定、证书和审计记录，依法作为证据，账户以代号显示"),
    ]


def register_kinds() -> None:
    """Name these decisions; called once at start-up."""
    register_kind(Kind(ADMINISTRATOR, "设为机构管理员", _make_administrator, _administrator_facts))
    register_kind(Kind(MOVE, "转入其他单位", _move, _move_facts))
    register_kind(Kind(ERASURE, "注销账户", _erase, _erasure_facts))
    register_kind(Kind(LOCK_ONLY, "变更账户登录方式", _set_lock_only, _lock_only_facts))
