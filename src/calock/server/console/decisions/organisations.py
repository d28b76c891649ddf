"""What two operators decide about an organisation: another code, a merger, letting passwords in again."""

from __future__ import annotations

from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.accounts.organisations import (
    change_code,
    clean_organisation_name,
    clean_uscc,
    merge_organisation,
    require_unused,
    write_lock_only,
)
from calock.server.approvals.kinds import Alarm, Change, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.console.decisions.lock_only import switch_facts, value_of, value_to_propose
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.context import RequestContext

CODE = "organisation.code"
MERGER = "organisation.merger"
LOCK_ONLY = "organisation.lock_only"

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
        kind=CODE,
        target=str(organisation.pk),
        target_version=version,
        payload={"name": clean_organisation_name(name.strip() or organisation.name), "uscc": uscc},
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
        kind=MERGER,
        target=str(source.pk),
        target_version=version,
        payload={"into": str(target.pk), "uscc": target.uscc},
        summary=f"将“{source.name}”并入“{target.name}”",
        reason=reason,
        by=by,
        context=context,
    )


def propose_lock_only(
    *, organisation: Organisation, value: bool | None, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Let members of the organisation log in with a password again.

    Raises:
        Refusal: REQUEST_MALFORMED, or as ``approvals.services.propose``.
    """
    return propose(
        kind=LOCK_ONLY,
        target=str(organisation.pk),
        payload=value_to_propose(organisation.lock_only, value),
        summary=f"变更“{organisation.name}”的登录方式",
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


def _set_lock_only(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    row = _organisation(approval.target)
    write_lock_only(organisation=row, value=value_of(approval, now=row.lock_only), by=operator, context=context)


# --- what the second operator reads


def _code_facts(approval: Approval) -> Facts:
    row = Organisation.objects.filter(pk=approval.target).first()
    if row is None:
        return [("单位", "已不存在")]
    members = row.members.count()
    return [
        ("统一社会信用代码", Change(row.uscc, approval.payload["uscc"])),
        ("单位名称", Change(row.name, approval.payload["name"])),
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


def _lock_only_facts(approval: Approval) -> Facts:
    row = Organisation.objects.filter(pk=approval.target).first()
    if row is None:
        return [("单位", "已不存在")]
    members = row.members.filter(lock_only__isnull=True).count()
    return [("单位", f"{row.name}（{row.uscc}）"), ("涉及的账户", str(members)), *switch_facts(approval)]


def register_kinds() -> None:
    """Name these decisions; called once at start-up."""
    register_kind(Kind(CODE, "变更统一社会信用代码", _change_code, _code_facts))
    register_kind(Kind(MERGER, "合并单位", _merge, _merger_facts))
    register_kind(Kind(LOCK_ONLY, "变更单位登录方式", _set_lock_only, _lock_only_facts))
