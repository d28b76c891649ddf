# ruff: noqa: ARG002 - Django's admin prescribes these signatures
"""Locks and bindings in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from calock.server.accounts.models import Account
from calock.server.approvals.models import Approval
from calock.server.console.decisions.emergency_unbind import EMERGENCY_UNBIND, propose_unbind
from calock.server.console.filters import DateRangeFilter, choice_filter, provider_choices, site_choices
from calock.server.console.lists import ReadOnlyAdmin, badge, field_column, keys_of, list_column
from calock.server.console.lock_versions import attempts_of, versions_of
from calock.server.console.pages.common import reasoned_by
from calock.server.locks.models import Binding, Lock, LockCertificate
from calock.server.locks.suspension import suspend_by_operator
from calock.server.organisations.models import Organisation
from calock.server.tools.masking import mask_name


def person(account: Account) -> str:
    """An account in a list: the masked name tells colleagues apart, the account name is who it is."""
    return f"{mask_name(account.name)}（{account.username}）"


def state_badge(binding: Binding) -> SafeString:
    """What a binding is worth now, in one word."""
    if binding.unbound_at is not None:
        return badge("", "已解除")
    if binding.suspended_at is not None:
        return badge("bad", "已挂失")
    return badge("warn", "待确认") if binding.awaits else badge("good", "绑定中")


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
    search_fields = ("lock_id",)
    list_select_related = ("provider",)
    ordering = ("-created_at",)

    def find(self, rows: QuerySet[Lock], words: str) -> QuerySet[Lock]:
        exact = rows.filter(lock_id=words)
        return exact if exact.exists() else rows.filter(pk__in=locks_named(words))

    def attach(self, rows: list[Any]) -> None:
        keys = [row.pk for row in rows]
        counted = LockCertificate.objects.filter(lock__in=keys).order_by().values_list("lock").annotate(count=Count("pk"))
        counts = dict(counted)
        live = {binding.lock_id: binding for binding in Binding.objects.live().filter(lock__in=keys).select_related("account")}
        for row in rows:
            row.version_count, row.live = counts.get(row.pk, 0), live.get(row.pk)

    @list_column("证书版本")
    def versions(self, row: Any) -> int:
        count: int = row.version_count
        return count

    @list_column("绑定账户")
    def bound_to(self, row: Any) -> str:
        return person(row.live.account) if row.live else "未绑定"

    def context_of(self, row: Lock) -> dict[str, Any]:
        bindings = row.bindings.select_related("account", "bound_by", "unbound_by").order_by("-bound_at")
        shown = [(binding, state_badge(binding)) for binding in bindings]
        return {"versions": versions_of(row), "attempts": attempts_of(row), "bindings": shown}


def locks_named(words: str) -> set[Any]:
    """Keys of locks whose CA锁ID, or whose certificate's name, begins so; with that serial number; of that account."""
    certificates = LockCertificate.objects.order_by()
    return keys_of(
        Lock.objects.filter(lock_id__startswith=words).order_by().values_list("pk", flat=True),
        certificates.filter(serial=words.lower()).values_list("lock", flat=True),
        certificates.filter(subject_cn__startswith=words).values_list("lock", flat=True),
        Binding.objects.filter(account__username=words).order_by().values_list("lock", flat=True),
    )


class BoundFilter(admin.SimpleListFilter):
    title = "状态"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "绑定中"), ("0", "已解除")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Binding]) -> QuerySet[Binding]:
        return queryset if self.value() not in ("0", "1") else queryset.filter(unbound_at__isnull=self.value() == "1")


class BoundBetween(DateRangeFilter):
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
        BoundBetween,
    )
    search_help_text = "CA锁ID、账户、单位或统一社会信用代码"
    search_fields = ("site",)
    list_select_related = ("lock__provider", "account", "bound_by")
    ordering = ("-bound_at",)

    def find(self, rows: QuerySet[Binding], words: str) -> QuerySet[Binding]:
        places = keys_of(Organisation.objects.named(words).values_list("pk", flat=True))
        people = keys_of(
            Account.objects.filter(username=words).values_list("pk", flat=True),
            Account.objects.filter(organisation__in=places).values_list("pk", flat=True),
        )
        locks = keys_of(Lock.objects.filter(lock_id__startswith=words).order_by().values_list("pk", flat=True))
        return rows.filter(
            pk__in=keys_of(
                rows.filter(lock__in=locks).order_by().values_list("pk", flat=True),
                rows.filter(account__in=people).order_by().values_list("pk", flat=True),
            )
        )

    @list_column("CA锁ID")
    def lock_number(self, row: Binding) -> str:
        return row.lock.lock_id

    @list_column("CA 服务商")
    def provider(self, row: Binding) -> str:
        return row.lock.provider.name

    @list_column("绑定账户")
    def account_name(self, row: Binding) -> str:
        return person(row.account)

    @list_column("绑定人")
    def by_name(self, row: Binding) -> str:
        return person(row.bound_by)

    @list_column("状态")
    def live_badge(self, row: Binding) -> SafeString:
        return state_badge(row)

    def title_of(self, row: Binding) -> str:
        return f"绑定 {row.lock.lock_id}"

    def context_of(self, row: Binding) -> dict[str, Any]:
        open_now = Approval.objects.open_at(timezone.now()).filter(kind=EMERGENCY_UNBIND, target=str(row.pk))
        masked = {"masked": mask_name(row.account.name), "by_masked": mask_name(row.bound_by.name)}
        return {**masked, "state": state_badge(row), "waiting_here": open_now.first()}

    def step_suspend(self, request: HttpRequest, row: Binding) -> None:
        suspend_by_operator(binding=row.pk, **reasoned_by(request))

    def step_unbind(self, request: HttpRequest, row: Binding) -> None:
        propose_unbind(binding=row, **reasoned_by(request))
