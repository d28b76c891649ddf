# ruff: noqa: ARG002, RUF012 - Django's admin prescribes these signatures and class attributes
"""The audit rows: read, filtered, and each checked against its MAC while it is shown."""

from __future__ import annotations

import hmac
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import CharField, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from calock.server.accounts.models import Account
from calock.server.audit.canonical import mac_of
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.tree import public_hex, seal_key
from calock.server.audit.verification import verify_audit
from calock.server.console.lists import (
    ReadOnlyAdmin,
    SinceFilter,
    badge,
    choice_filter,
    column,
    provider_choices,
    shown,
    site_choices,
)
from calock.server.console.statistics import words_of

CHECKED_AT_ONCE = 20_000
"""Up to so many rows one click checks everything, seals included; above, the newest rows only, and the command does the rest."""


def is_intact(row: AuditEvent) -> bool:
    """Whether the row is the one this server wrote."""
    return hmac.compare_digest(row.mac, mac_of(row))


def _check() -> dict[str, Any]:
    """What the list says after 校验完整性."""
    if AuditEvent.objects.count() <= CHECKED_AT_ONCE:
        report = verify_audit(public_key=public_hex(seal_key(settings.CALOCK.data)))
        findings = [str(finding) for finding in report.findings]
        return {"checked": report.rows, "sealed": report.sealed, "findings": findings[:20], "finding_count": len(findings)}
    rows = AuditEvent.objects.order_by("-id")[:CHECKED_AT_ONCE].iterator()
    findings = [f"{row.number}: MAC" for row in rows if not is_intact(row)]
    return {"checked": CHECKED_AT_ONCE, "part": True, "findings": findings[:20], "finding_count": len(findings)}


class SubjectFilter(admin.SimpleListFilter):
    title = "事项"
    parameter_name = "about"
    subjects = {
        "login": "登录",
        "binding": "绑定",
        "account": "账户",
        "organisation": "单位",
        "session": "会话",
        "provider": "CA 互认",
        "approval": "双人复核",
        "package": "驱动包",
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.subjects.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        return queryset.filter(event__startswith=f"{self.value()}:") if self.value() in self.subjects else queryset


class OutcomeFilter(admin.SimpleListFilter):
    title = "结果"
    parameter_name = "refused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("0", "已完成"), ("1", "被拒绝")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        if self.value() == "0":
            return queryset.filter(reason="")
        return queryset.exclude(reason="") if self.value() == "1" else queryset


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    template = "console/audit_row.html"
    change_list_template = "console/audit_list.html"
    list_display = (
        column("时间", "at"),
        "number_shown",
        "event_words",
        "reason_words",
        "actor_shown",
        column("CA 服务商", "provider"),
        column("站点", "site"),
        column("IP", "ip"),
        "intact",
    )
    list_display_links = ("number_shown",)
    list_filter = (
        SinceFilter,
        SubjectFilter,
        OutcomeFilter,
        choice_filter("CA 服务商", "provider", provider_choices),
        choice_filter("站点", "site", site_choices),
    )
    search_fields = ("number", "event", "reason", "ip", "actor_name")
    search_help_text = "编号、账户、原因代码或 IP"
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEvent]:
        name = Account.objects.filter(pk=OuterRef("actor")).values("username")
        return super().get_queryset(request).annotate(actor_name=Subquery(name, output_field=CharField()))

    @shown("事件", "event")
    def event_words(self, row: AuditEvent) -> str:
        return EVENT_WORDS.get(row.event, row.event)

    @shown("原因", "reason")
    def reason_words(self, row: AuditEvent) -> str:
        return words_of(row.reason) if row.reason else ""

    @shown("编号")
    def number_shown(self, row: AuditEvent) -> str:
        return row.number

    @shown("操作人")
    def actor_shown(self, row: Any) -> str:
        name: str | None = row.actor_name
        return name or "-"

    @shown("完整性")
    def intact(self, row: AuditEvent) -> SafeString:
        return badge("good", "完整") if is_intact(row) else badge("bad", "被改动")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        checked: dict[str, Any] = {}
        if "verify" in request.GET:
            checked = _check()
            request.GET = request.GET.copy()
            del request.GET["verify"]
        return super().changelist_view(request, {**(extra_context or {}), **checked})

    def context_of(self, row: AuditEvent) -> dict[str, Any]:
        return {
            "event_words": EVENT_WORDS.get(row.event, row.event),
            "reason_words": words_of(row.reason) if row.reason else "",
            "intact": is_intact(row),
            "details": sorted(row.details.items()),
        }


EVENT_WORDS = {
    Event.LOGIN_CA_SUCCEEDED: "CA 登录成功",
    Event.LOGIN_CA_REFUSED: "CA 登录被拒",
    Event.LOGIN_PASSWORD_SUCCEEDED: "密码登录成功",
    Event.LOGIN_PASSWORD_REFUSED: "密码登录被拒",
    Event.STEP_UP_SUCCEEDED: "再次确认身份",
    Event.STEP_UP_REFUSED: "再次确认身份失败",
    Event.SESSION_ENDED: "退出登录",
    Event.SESSIONS_REVOKED: "会话被结束",
    Event.BINDING_ADDED: "绑定 CA 锁",
    Event.BINDING_ENDED: "解除绑定",
    Event.BINDING_REFUSED: "绑定被拒",
    Event.BINDING_END_REFUSED: "解除绑定被拒",
    Event.CERTIFICATE_RENEWED: "续期沿用绑定",
    Event.CERTIFICATE_REVOKED: "证书被吊销",
    Event.ACCOUNT_CREATED: "新建账户",
    Event.ACCOUNT_CHANGED: "修改账户",
    Event.ACCOUNT_DISABLED: "停用账户",
    Event.ACCOUNT_ENABLED: "启用账户",
    Event.ACCOUNT_PASSWORD_CHANGED: "修改密码",
    Event.ACCOUNT_PASSWORD_RESET: "重置密码",
    Event.ACCOUNT_PASSWORD_LOCKED: "密码登录锁定",
    Event.ACCOUNT_PASSWORD_REFUSED: "修改密码被拒",
    Event.ORGANISATION_DISABLED: "停用单位",
    Event.ORGANISATION_ENABLED: "启用单位",
    Event.PROVIDER_CREATED: "新增服务商",
    Event.PROVIDER_CHANGED: "修改服务商",
    Event.PROVIDER_SUSPENDED: "暂停服务商",
    Event.PROVIDER_RESUMED: "恢复服务商",
    Event.PROVIDER_IMPORTED: "导入互认包",
    Event.PROVIDER_EXPORTED: "导出互认包",
    Event.REGISTER_RESEALED: "重新封存登记",
    Event.BUNDLE_KEY_PINNED: "固定互认包公钥",
    Event.BUNDLE_KEY_RETIRED: "停用互认包公钥",
    Event.ANCHOR_APPROVED: "互认 CA 证书",
    Event.ANCHOR_SUSPENDED: "暂停 CA 证书",
    Event.ANCHOR_RESUMED: "恢复 CA 证书",
    Event.ANCHOR_WITHDRAWN: "撤回 CA 证书",
    Event.REVOCATION_SOURCE_CHANGED: "变更吊销来源",
    Event.REVOCATION_FETCHED: "获取吊销信息",
    Event.REVOCATION_FAILED: "获取吊销信息失败",
    Event.APPROVAL_PROPOSED: "提出复核申请",
    Event.APPROVAL_APPROVED: "复核通过",
    Event.APPROVAL_REJECTED: "复核驳回",
    Event.APPROVAL_TAKEN_BACK: "撤销申请",
    Event.PACKAGE_UPLOADED: "上传驱动包",
    Event.PACKAGE_PUBLISHED: "发布驱动包",
    Event.PACKAGE_WITHDRAWN: "撤回驱动包",
    Event.PACKAGE_DOWNLOADED: "下载驱动包",
    Event.PACKAGE_REFUSED: "驱动包被拒",
    Event.ACCESS_REFUSED: "越权访问被拒",
    Event.REQUEST_REFUSED: "请求被拒",
    Event.REQUESTS_THROTTLED: "请求过于频繁",
    Event.SERVER_FAILED: "服务器错误",
}
"""What people call the events."""
