# ruff: noqa: ARG002, RUF012 - Django's admin prescribes these signatures and class attributes
"""The audit rows: read, filtered, and each checked against its MAC while it is shown."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from calock.core.refusals import Reason
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.since import seal_since
from calock.server.audit.verification import is_whole, verify_audit
from calock.server.console.filters import DateRangeFilter, choice_filter, provider_choices, site_choices
from calock.server.console.lists import ReadOnlyAdmin, badge, field_column, keys_of, list_column
from calock.server.console.lock_admin import person
from calock.server.console.statistics import reason_text
from calock.server.locks.decision_record import RecordedRevocation, read_back
from calock.server.locks.models import Lock
from calock.server.organisations.models import Organisation
from calock.server.portal.event_names import event_name
from calock.server.portal.templatetags.portal import site_names
from calock.server.providers.models import Provider

CHECKED_AT_ONCE = 20_000
"""Up to so many rows one click checks everything, seals included; above, the newest rows only, and the command does the rest."""


DETAIL_WORDS = {
    "request": "请求编号",
    "algorithm": "算法",
    "anchor_key": "信任锚公钥 SHA-256",
    "certificate": "证书 SHA-256",
    "approval": "双人复核申请",
    "binding": "绑定",
    "chosen": "页面上选择的服务商",
    "client": "应用标识",
    "contact": "联系方式",
    "count": "数量",
    "detail": "技术说明",
    "driver_key": "CA 驱动公钥",
    "format": "文件格式",
    "holder": "证书中的持有人标识",
    "how": "方式",
    "issuer_key": "签发 CA 公钥 SHA-256",
    "kind": "类型",
    "list": "列表",
    "path": "网址路径",
    "reason": "理由",
    "receipt": "回执 SHA-256",
    "role": "角色",
    "rows": "行数",
    "sessions_ended": "结束的会话数",
    "verified": "已验证",
    "version": "版本",
    "why": "原因",
}
SOURCES = {"crl": "CRL", "ocsp": "OCSP", "stapled": "OCSP（驱动携带）"}


def _subject_words(subject: str) -> str:
    """``leaf``, ``ca_1`` … as people call them."""
    if subject == "leaf":
        return "CA 锁证书"
    return "签发 CA" if subject == "ca_1" else f"上级 CA（{subject.removeprefix('ca_')}）"


_FINAL = frozenset({Reason.CERTIFICATE_REVOKED, Reason.CERTIFICATE_ON_HOLD, Reason.CA_REVOKED})


def _finding_words(found: RecordedRevocation) -> tuple[str, str, str]:
    """Badge, words and the technical rest of what one source said about one certificate."""
    if found.finding == "good":
        return "good", "未吊销", ""
    if found.finding == "waived":
        return "", "规则未要求", found.detail
    return "bad" if found.finding in _FINAL else "warn", reason_text(found.finding), f"{found.finding} {found.detail}"


def _check() -> dict[str, Any]:
    """What the list says after 校验完整性: about all rows, or about the seals of the newest ones."""
    oldest = AuditEvent.objects.order_by("-id").values_list("number", flat=True)[CHECKED_AT_ONCE : CHECKED_AT_ONCE + 1].first()
    report = verify_audit(since=seal_since(oldest) if oldest else 1)
    return {
        "checked": report.rows,
        "sealed": report.sealed,
        "part": report.since > 1,
        "findings": [str(finding) for finding in report.findings[:20]],
        "finding_count": report.finding_count,
    }


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
        "application": "应用接入",
        "package": "驱动包",
        "import": "数据导入",
        "outbox": "待发消息",
        "egress": "出口地址",
        "console": "控制台",
        "server": "服务器",
        "access": "越权访问",
        "request": "异常请求",
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.subjects.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        if self.value() not in self.subjects:
            return queryset
        # the vocabulary is small: equality with its members is found by the index
        return queryset.filter(event__in=[event.value for event in Event if event.startswith(f"{self.value()}:")])


class OutcomeFilter(admin.SimpleListFilter):
    title = "结果"
    parameter_name = "refused"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("0", "已完成"), ("1", "被拒绝")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        if self.value() == "0":
            return queryset.filter(reason="")
        # "not equal" would find none by the index
        return queryset.filter(reason__gt="") if self.value() == "1" else queryset


_NUMBER = re.compile(r"\d{6}-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", re.IGNORECASE)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{2,47}|[a-z_]+(:[a-z_]+)+")


def _address(words: str) -> str | None:
    try:
        return str(ip_address(words))
    except ValueError:
        return None


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    template = "console/audit_row.html"
    change_list_template = "console/audit_list.html"
    list_display = (
        field_column("时间", "at"),
        "number_shown",
        "event_shown",
        "reason_shown",
        "actor_shown",
        "provider_shown",
        "site_shown",
        field_column("IP", "ip"),
    )
    list_display_links = ("number_shown",)
    export_columns = (*list_display, field_column("事件代码", "event"), field_column("原因代码", "reason"), "agent", "details_text")
    list_filter = (
        DateRangeFilter,
        SubjectFilter,
        OutcomeFilter,
        choice_filter("CA 服务商", "provider", provider_choices),
        choice_filter("站点", "site", site_choices),
    )
    search_fields = ("number",)
    search_help_text = "完整的编号、账户、CA锁ID、IP 或代码"
    ordering = ("-id",)

    def find(self, rows: QuerySet[AuditEvent], words: str) -> QuerySet[AuditEvent]:
        """By a whole value, each an index of its own: what people read out on the telephone is whole."""
        if _NUMBER.fullmatch(words):
            return rows.filter(number=words.upper())
        ip = _address(words)
        if ip is not None:
            return rows.filter(ip=ip)
        if _CODE.fullmatch(words) and (words in Reason.__members__ or words in {event.value for event in Event}):
            return rows.filter(Q(reason=words) | Q(event=words))
        account = Account.objects.filter(username=words).values_list("pk", flat=True).first()
        if account is not None:
            return rows.filter(Q(actor=account) | Q(subject=account))
        return rows.filter(lock__in=keys_of(Lock.objects.filter(lock_id=words).values_list("pk", flat=True)))

    def attach(self, rows: list[Any]) -> None:
        names = names_of({row.actor for row in rows if row.actor})
        providers = dict(Provider.objects.values_list("code", "name"))
        for row in rows:
            row.actor_name = names.get(row.actor, "")
            row.provider_name = providers.get(row.provider, row.provider)
            row.whole = is_whole(row)

    @list_column("事件")
    def event_shown(self, row: AuditEvent) -> str:
        return event_name(row.event)

    @list_column("原因")
    def reason_shown(self, row: AuditEvent) -> str:
        return reason_text(row.reason) if row.reason else ""

    @list_column("编号")
    def number_shown(self, row: Any) -> SafeString | str:
        return row.number if row.whole else format_html("{} {}", row.number, badge("bad", "被改动"))

    @list_column("操作人")
    def actor_shown(self, row: Any) -> str:
        return row.actor_name or "-"

    @list_column("CA 服务商")
    def provider_shown(self, row: Any) -> str:
        return row.provider_name or "-"

    @list_column("站点")
    def site_shown(self, row: AuditEvent) -> str:
        return site_names(row.site) if row.site else "-"

    @list_column("浏览器")
    def agent(self, row: AuditEvent) -> str:
        return row.user_agent

    @list_column("详情")
    def details_text(self, row: AuditEvent) -> str:
        return json.dumps(row.details, ensure_ascii=False, sort_keys=True)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        checked: dict[str, Any] = {}
        if "verify" in request.GET:
            checked = _check()
            others = request.GET.copy()
            del others["verify"]
            request.GET = others  # type: ignore[assignment]  # else the list takes it for a filter
        return super().changelist_view(request, {**(extra_context or {}), **checked})

    def context_of(self, row: AuditEvent) -> dict[str, Any]:
        evidence, details = read_back(row.details)
        known = names_of({key for key in (row.actor, row.subject) if key})
        return {
            "event_name": event_name(row.event),
            "reason_text": reason_text(row.reason) if row.reason else "",
            "provider_name": dict(provider_choices()).get(row.provider, row.provider),
            "lock_id": Lock.objects.filter(pk=row.lock).values_list("lock_id", flat=True).first() if row.lock else "",
            "organisation_name": _organisation(row),
            "actor_name": known.get(row.actor, "") if row.actor else "",
            "subject_name": known.get(row.subject, "") if row.subject else "",
            "intact": is_whole(row),
            "details": [(DETAIL_WORDS.get(name, ""), name, value) for name, value in sorted(details.items())],
            "evidence": [
                (_subject_words(subject), SOURCES.get(found.source, "无"), _finding_words(found), found)
                for subject, found in evidence
            ],
        }


def _organisation(row: AuditEvent) -> str:
    if row.organisation is None:
        return ""
    return Organisation.objects.filter(pk=row.organisation).values_list("name", flat=True).first() or ""


def names_of(keys: set[Any]) -> dict[Any, str]:
    """Accounts by key as the console names them."""
    return {account.pk: person(account) for account in Account.objects.filter(pk__in=keys)}
