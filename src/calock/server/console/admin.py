# ruff: noqa: ARG002, RUF012 - Django's admin prescribes these signatures and class attributes
"""The console's lists: accounts, organisations, locks, bindings."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.organisations import set_organisation_state
from calock.server.accounts.services import reset_password, set_account_state
from calock.server.approvals.models import Approval
from calock.server.console.audit_admin import AuditEventAdmin
from calock.server.console.emergency import EMERGENCY_UNBIND, propose_unbind
from calock.server.console.lists import (
    ReadOnlyAdmin,
    SinceFilter,
    badge,
    choice_filter,
    field_column,
    list_column,
    provider_choices,
    site_choices,
)
from calock.server.console.lock_versions import attempts_of, versions_of
from calock.server.console.package_admin import DriverPackageAdmin
from calock.server.console.pages.common import operator_and_context, outcome_message
from calock.server.locks.models import Binding, Lock
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationState
from calock.server.tools.masking import mask_name


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    template = "console/account.html"
    list_display = (
        "username",
        "masked",
        field_column("单位", "organisation"),
        field_column("角色", "role"),
        "state_badge",
        "locks",
        field_column("创建时间", "created_at"),
    )
    list_filter = (
        choice_filter("角色", "role", lambda: list(Role.choices)),
        choice_filter("状态", "state", lambda: list(AccountState.choices)),
    )
    search_help_text = "账户、姓名、单位或统一社会信用代码"
    search_fields = ("username", "name", "organisation__name", "organisation__uscc")
    list_select_related = ("organisation",)
    done = {"disable": "账户已停用，其会话已结束", "enable": "账户已启用", "reset": "密码已重置，本人下次登录须修改"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        live = Count("bindings", filter=Q(bindings__unbound_at__isnull=True))
        rows: QuerySet[Account] = super().get_queryset(request).annotate(live_locks=live).order_by("username")
        return rows

    @list_column("姓名")
    def masked(self, row: Account) -> str:
        return mask_name(row.name)

    @list_column("状态", "state")
    def state_badge(self, row: Account) -> SafeString:
        return badge("good" if row.is_active else "bad", row.get_state_display())

    @list_column("绑定中的锁", "live_locks")
    def locks(self, row: Any) -> int:
        count: int = row.live_locks
        return count

    def title_of(self, row: Account) -> str:
        return f"{mask_name(row.name)}（{row.username}）"

    def context_of(self, row: Account) -> dict[str, Any]:
        at = timezone.now()
        return {
            "masked": mask_name(row.name),
            "bindings": row.bindings.select_related("lock__provider").order_by("-bound_at")[:50],
            "sessions": row.sessions.filter(ended_at__isnull=True, expires_at__gt=at).order_by("-last_seen_at")[:20],
            "password_locked": row.password_locked_until is not None and row.password_locked_until > at,
        }

    def step(self, request: HttpRequest, row: Account) -> None:
        operator, context = operator_and_context(request)
        wanted = request.POST.get("step", "")
        with outcome_message(request, self.done.get(wanted, "")):
            if wanted == "reset":
                reset_password(member=row, password=request.POST.get("password", ""), by=operator, context=context)
            elif wanted in ("disable", "enable"):
                state = AccountState.ACTIVE if wanted == "enable" else AccountState.DISABLED
                set_account_state(member=row, state=state, by=operator, context=context)
            else:
                raise Refusal(Reason.REQUEST_MALFORMED, "step")


@admin.register(Organisation)
class OrganisationAdmin(ReadOnlyAdmin):
    template = "console/organisation.html"
    list_display = ("name", "uscc", field_column("类型", "kind"), "state_badge", "people", field_column("创建时间", "created_at"))
    list_filter = (
        choice_filter("类型", "kind", lambda: list(OrganisationKind.choices)),
        choice_filter("状态", "state", lambda: list(OrganisationState.choices)),
    )
    search_help_text = "单位名称或统一社会信用代码"
    search_fields = ("name", "uscc")
    done = {"disable": "单位已停用，其全部成员的会话已结束", "enable": "单位已启用"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organisation]:
        rows: QuerySet[Organisation] = super().get_queryset(request).annotate(member_count=Count("members")).order_by("name")
        return rows

    @list_column("状态", "state")
    def state_badge(self, row: Organisation) -> SafeString:
        return badge("good" if row.state == OrganisationState.ACTIVE else "bad", row.get_state_display())

    @list_column("成员", "member_count")
    def people(self, row: Any) -> int:
        count: int = row.member_count
        return count

    def context_of(self, row: Organisation) -> dict[str, Any]:
        members = row.members.order_by("username")
        return {"members": [(member, mask_name(member.name)) for member in members[:200]], "total": members.count()}

    def step(self, request: HttpRequest, row: Organisation) -> None:
        operator, context = operator_and_context(request)
        wanted = request.POST.get("step", "")
        with outcome_message(request, self.done.get(wanted, "")):
            if wanted not in self.done:
                raise Refusal(Reason.REQUEST_MALFORMED, "step")
            state = OrganisationState.ACTIVE if wanted == "enable" else OrganisationState.DISABLED
            set_organisation_state(organisation=row, state=state, by=operator, context=context)


@admin.register(Lock)
class LockAdmin(ReadOnlyAdmin):
    template = "console/lock.html"
    heading = "CA 锁"
    list_display = (
        "lock_id",
        field_column("CA 服务商", "provider"),
        "versions",
        "bound_to",
        field_column("首次出现", "created_at"),
    )
    list_filter = (choice_filter("CA 服务商", "provider__code", provider_choices),)
    search_help_text = "CA锁ID、证书序列号、证书名称或账户"
    search_fields = ("lock_id", "certificates__serial", "certificates__subject_cn", "bindings__account__username")
    list_select_related = ("provider",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lock]:
        live = Binding.objects.live().select_related("account")
        rows = super().get_queryset(request).annotate(version_count=Count("certificates", distinct=True))
        found: QuerySet[Lock] = rows.prefetch_related(Prefetch("bindings", queryset=live, to_attr="live")).order_by("-created_at")
        return found

    @list_column("证书版本")
    def versions(self, row: Any) -> int:
        count: int = row.version_count
        return count

    @list_column("绑定账户")
    def bound_to(self, row: Any) -> str:
        return f"{mask_name(row.live[0].account.name)}（{row.live[0].account.username}）" if row.live else "未绑定"

    def context_of(self, row: Lock) -> dict[str, Any]:
        bindings = row.bindings.select_related("account", "bound_by", "unbound_by").order_by("-bound_at")
        return {"versions": versions_of(row), "attempts": attempts_of(row), "bindings": bindings}


class BoundFilter(admin.SimpleListFilter):
    title = "状态"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "绑定中"), ("0", "已解除")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Binding]) -> QuerySet[Binding]:
        return queryset if self.value() not in ("0", "1") else queryset.filter(unbound_at__isnull=self.value() == "1")


class BoundSince(SinceFilter):
    title = "绑定时间"
    field = "bound_at"


@admin.register(Binding)
class BindingAdmin(ReadOnlyAdmin):
    template = "console/binding.html"
    heading = "绑定"
    list_display = ("lock_number", "provider", "account_name", "by_name", field_column("绑定时间", "bound_at"), "live_badge")
    list_filter = (
        BoundFilter,
        choice_filter("CA 服务商", "lock__provider__code", provider_choices),
        choice_filter("站点", "site", site_choices),
        BoundSince,
    )
    search_help_text = "CA锁ID、账户或单位"
    search_fields = ("lock__lock_id", "account__username", "account__organisation__name")
    list_select_related = ("lock__provider", "account", "bound_by")
    ordering = ("-bound_at",)

    @list_column("CA锁ID", "lock__lock_id")
    def lock_number(self, row: Binding) -> str:
        return row.lock.lock_id

    @list_column("CA 服务商", "lock__provider__name")
    def provider(self, row: Binding) -> str:
        return row.lock.provider.name

    @list_column("绑定账户", "account__username")
    def account_name(self, row: Binding) -> str:
        return f"{mask_name(row.account.name)}（{row.account.username}）"

    @list_column("绑定人", "bound_by__username")
    def by_name(self, row: Binding) -> str:
        return f"{mask_name(row.bound_by.name)}（{row.bound_by.username}）"

    @list_column("状态")
    def live_badge(self, row: Binding) -> SafeString:
        return badge("good", "绑定中") if row.unbound_at is None else badge("", "已解除")

    def title_of(self, row: Binding) -> str:
        return f"绑定 {row.lock.lock_id}"

    def context_of(self, row: Binding) -> dict[str, Any]:
        open_now = Approval.objects.open_at(timezone.now()).filter(kind=EMERGENCY_UNBIND, target=str(row.pk))
        return {"masked": mask_name(row.account.name), "by_masked": mask_name(row.bound_by.name), "waiting_here": open_now.first()}

    def step(self, request: HttpRequest, row: Binding) -> None:
        operator, context = operator_and_context(request)
        with outcome_message(request, "已提出紧急解绑，等待另一位运营人员复核"):
            if request.POST.get("step") != "unbind":
                raise Refusal(Reason.REQUEST_MALFORMED, "step")
            propose_unbind(binding=row, reason=request.POST.get("reason", ""), by=operator, context=context)


__all__ = ["AccountAdmin", "AuditEventAdmin", "BindingAdmin", "DriverPackageAdmin", "LockAdmin", "OrganisationAdmin"]
