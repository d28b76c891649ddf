"""Publishing a driver package takes two operators: people run what is offered here."""

from __future__ import annotations

from django.utils.formats import number_format

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Change, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose
from calock.server.downloads.models import DriverPackage, PackageState
from calock.server.downloads.services import publish_package
from calock.server.sessions.context import RequestContext

PACKAGE_PUBLISH = "package.publish"


def propose_publication(*, package: DriverPackage, reason: str, by: Account, context: RequestContext | None) -> Approval:
    """Ask a second operator to offer a draft for download.

    Raises:
        Refusal: VERSION_CHANGED for what is no draft any more, or as ``approvals.services.propose``.
    """
    if package.state != PackageState.DRAFT:
        raise Refusal(Reason.VERSION_CHANGED, "only a draft can be published")
    return propose(
        kind=PACKAGE_PUBLISH,
        target=str(package.pk),
        payload={"sha256": package.sha256},
        summary=f"发布驱动包 {package.title} {package.version}（{package.os} {package.arch}）",
        reason=reason,
        by=by,
        context=context,
    )


def _publish(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    package = DriverPackage.objects.filter(pk=approval.target).first()
    if package is None or package.sha256 != approval.payload["sha256"]:
        raise Refusal(Reason.VERSION_CHANGED, "the package is not the one that was proposed")
    publish_package(package=package, by=operator, context=context)


def _facts(approval: Approval) -> list[tuple[str, str]]:
    package = DriverPackage.objects.filter(pk=approval.target).first()
    if package is None:
        return [("驱动包", "已不存在")]
    newest = DriverPackage.objects.newest_like(package)
    facts = [
        ("名称", package.title),
        ("版本", Change(newest.version, package.version) if newest else package.version),
        ("系统", f"{package.os} {package.arch}"),
        ("文件名", f"{package.file_name}（{number_format(package.size)} 字节）"),
        ("SHA-256", package.sha256),
        ("SM3", package.sm3),
        ("状态", package.get_state_display()),
        ("更新内容", package.changes or "无"),
    ]
    if newest is not None and newest.order > package.order:
        facts.append(("低于现有版本", Alarm(f"已发布 {newest.version}，高于此版本")))
    return facts


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(PACKAGE_PUBLISH, "发布驱动包", _publish, _facts))
