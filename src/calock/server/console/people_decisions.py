"""What two operators decide about people and organisations: proposals, what the second one reads, and the acts that follow."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.members import ENROLMENT, change_role, move_account, open_enrolment, write_account_state
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.organisations import change_code, clean_uscc, merge_organisation, require_unused
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.tools.masking import mask_name

ORGANISATION_CODE = "organisation.code"
ORGANISATION_MERGER = "organisation.merger"
ACCOUNT_ADMINISTRATOR = "account.administrator"
ACCOUNT_MOVE = "account.move"
OPERATOR_STATE = "operator.state"
OPERATOR_ENROLMENT = "operator.enrolment"

Facts = list[tuple[str, str]]


def propose_code(
    *, organisation: Organisation, version: int, name: str, uscc: str, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Another 统一社会信用代码, and with it perhaps another name.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    uscc = clean_uscc(uscc)
    if uscc == organisation.uscc:
        raise Refusal(Reason.REQUEST_MALFORMED, "统一社会信用代码没有变化，只改名称请用“更名”")
    require_unused(uscc, but=organisation)
    if Organisation.objects.filter(uscc=uscc).exists():
        raise Refusal(Reason.REQUEST_MALFORMED, "已有单位使用该统一社会信用代码，如系同一单位请改用合并")
    return propose(
        kind=ORGANISATION_CODE,
        target=str(organisation.pk),
        target_version=version,
        payload={"name": " ".join(name.split()) or organisation.name, "uscc": uscc},
        summary=f"变更“{organisation.name}”的统一社会信用代码",
        reason=reason,
        by=by,
        context=context,
    )


def propose_merger(
    *, source: Organisation, version: int, target: Organisation, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Members of ``source`` become members of ``target``.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if source.pk == target.pk or OrganisationState.MERGED in (source.state, target.state):
        raise Refusal(Reason.REQUEST_MALFORMED, "请选择另一个未被合并的单位")
    return propose(
        kind=ORGANISATION_MERGER,
        target=str(source.pk),
        target_version=version,
        payload={"into": str(target.pk), "uscc": target.uscc},
        summary=f"将“{source.name}”并入“{target.name}”",
        reason=reason,
        by=by,
        context=context,
    )


def propose_administrator(*, member: Account, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Make a member administrator of their organisation.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role != Role.MEMBER or member.organisation is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "只有单位的普通成员可以设为机构管理员")
    return propose(
        kind=ACCOUNT_ADMINISTRATOR,
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
        kind=ACCOUNT_MOVE,
        target=str(member.pk),
        payload={"from": str(member.organisation_id or ""), "into": str(organisation.pk), "uscc": organisation.uscc},
        summary=f"将 {member.username} 转入“{organisation.name}”",
        reason=reason,
        by=by,
        context=context,
    )


def propose_operator_state(
    *, member: Account, state: AccountState, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Disable or enable an operator: nobody puts away the one who must agree.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    if member.role != Role.OPERATOR or member.pk == by.pk or member.state == state:
        raise Refusal(Reason.REQUEST_MALFORMED, "只能对另一位运营人员提出，且状态须有变化")
    return propose(
        kind=OPERATOR_STATE,
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
        kind=OPERATOR_ENROLMENT,
        target=str(member.pk),
        payload={},
        summary=f"允许运营人员 {member.username} 绑定 CA 锁",
        reason=reason,
        by=by,
        context=context,
    )


# --- the acts, inside the approval's transaction


def _organisation(key: str) -> Organisation:
    found = Organisation.objects.filter(pk=key).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the organisation is gone")
    return found


def _account(key: str) -> Account:
    found: Account | None = Account.objects.select_related("organisation").filter(pk=key).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "the account is gone")
    return found


def _change_code(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    at = context.at if context else timezone.now()
    row = _organisation(approval.target)
    name, uscc = approval.payload["name"], approval.payload["uscc"]
    change_code(
        organisation=row, name=name, uscc=uscc, version=approval.target_version, by=operator, at=at, context=context
    )  # fmt: skip


def _merge(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    source, target = _organisation(approval.target), _organisation(approval.payload["into"])
    if target.uscc != approval.payload["uscc"]:
        raise Refusal(Reason.VERSION_CHANGED, "the target organisation changed its code since the proposal")
    merge_organisation(source=source, target=target, version=approval.target_version, by=operator, context=context)


def _make_administrator(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member = _account(approval.target)
    if str(member.organisation_id) != approval.payload["organisation"] or member.role != Role.MEMBER:
        raise Refusal(Reason.VERSION_CHANGED, "the account changed since the proposal")
    change_role(member=member, role=Role.ORGANISATION_ADMIN, by=operator, context=context)


def _move(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member, target = _account(approval.target), _organisation(approval.payload["into"])
    if str(member.organisation_id or "") != approval.payload["from"] or target.uscc != approval.payload["uscc"]:
        raise Refusal(Reason.VERSION_CHANGED, "account or organisation changed since the proposal")
    move_account(member=member, organisation=target, by=operator, context=context)


def _set_operator_state(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    member, state = _account(approval.target), AccountState(approval.payload["state"])
    if member.role != Role.OPERATOR or member.state == state:
        raise Refusal(Reason.VERSION_CHANGED, "the account changed since the proposal")
    write_account_state(member=member, state=state, by=operator, context=context)


def _open_enrolment(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    if approval.target == str(operator.pk):
        raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "nobody approves their own enrolment")
    open_enrolment(operator=_account(approval.target), by=operator, context=context)


# --- what the second operator reads


def _code_facts(approval: Approval) -> Facts:
    row = Organisation.objects.filter(pk=approval.target).first()
    if row is None:
        return [("单位", "已不存在")]
    members = row.members.count()
    return [
        ("统一社会信用代码", Alarm(f"{row.uscc} → {approval.payload['uscc']}")),
        ("单位名称", _change(row.name, approval.payload["name"])),
        ("成员", f"{members} 个账户，绑定不变；此后只能绑定新代码的证书"),
    ]


def _merger_facts(approval: Approval) -> Facts:
    source = Organisation.objects.filter(pk=approval.target).first()
    target = Organisation.objects.filter(pk=approval.payload["into"]).first()
    if source is None or target is None:
        return [("单位", "已不存在")]
    administrators = source.members.filter(role=Role.ORGANISATION_ADMIN).count()
    return [
        ("被并入的单位", f"{source.name}（{source.uscc}）"),
        ("并入", f"{target.name}（{target.uscc}）"),
        ("转入的账户", Alarm(f"{source.members.count()} 个，其中 {administrators} 个机构管理员改为普通成员")),
        ("权限", f"此后由“{target.name}”的机构管理员管理这些账户及其 CA 锁"),
    ]


def _account_facts(approval: Approval) -> Facts:
    member = Account.objects.select_related("organisation").filter(pk=approval.target).first()
    if member is None:
        return [("账户", "已不存在")]
    facts = [
        ("账户", f"{mask_name(member.name)}（{member.username}）"),
        ("单位", member.organisation.name if member.organisation else "无"),
        ("角色", member.get_role_display()),
        ("绑定中的锁", str(member.bindings.filter(unbound_at__isnull=True).count())),
    ]
    return [*facts, *_effects(approval, member)]


def _effects(approval: Approval, member: Account) -> Sequence[tuple[str, str]]:
    if approval.kind == ACCOUNT_ADMINISTRATOR:
        others = member.organisation.members.count() - 1 if member.organisation else 0
        return [("权限", Alarm(f"可为本单位其他 {others} 个账户重置密码、绑定和解除 CA 锁"))]
    if approval.kind == ACCOUNT_MOVE:
        target = Organisation.objects.filter(pk=approval.payload["into"]).first()
        text = f"{target.name}（{target.uscc}）" if target else "已不存在"
        return [("转入", Alarm(text)), ("权限", "转入后为普通成员，由该单位的机构管理员管理")]
    if approval.kind == OPERATOR_ENROLMENT:
        hours = int(ENROLMENT.total_seconds() // 3600)
        return [("权限", Alarm(f"{hours} 小时内可用密码登录并绑定一把 CA 锁，此后以该锁进入控制台"))]
    return [("操作", Alarm("启用" if approval.payload["state"] == AccountState.ACTIVE else "停用，其会话随即结束"))]


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def register_kinds() -> None:
    """Name these decisions; called once at start-up."""
    register_kind(Kind(ORGANISATION_CODE, "变更统一社会信用代码", _change_code, _code_facts))
    register_kind(Kind(ORGANISATION_MERGER, "合并单位", _merge, _merger_facts))
    register_kind(Kind(ACCOUNT_ADMINISTRATOR, "设为机构管理员", _make_administrator, _account_facts))
    register_kind(Kind(ACCOUNT_MOVE, "转入其他单位", _move, _account_facts))
    register_kind(Kind(OPERATOR_ENROLMENT, "允许运营人员绑定 CA 锁", _open_enrolment, _account_facts))
    register_kind(Kind(OPERATOR_STATE, "停用或启用运营人员", _set_operator_state, _account_facts))
