"""待激活绑定 in the console: what lists said about locks, until a lock itself confirms it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from calock.server.accounts.models import Account
from calock.server.console.filters import choice_filter, provider_choices
from calock.server.console.lists import ReadOnlyAdmin, field_column, keys_of, list_column
from calock.server.console.lock_admin import person
from calock.server.console.pages.common import asked_by
from calock.server.locks.claims import withdraw_claim
from calock.server.locks.models import PendingBinding
from calock.server.tools.masking import mask_name


@admin.register(PendingBinding)
class PendingBindingAdmin(ReadOnlyAdmin):
    template = "console/claim.html"
    list_display = (
        field_column("CA锁ID", "lock_id"),
        field_column("CA 服务商", "provider"),
        "account_name",
        field_column("来源", "source"),
        field_column("导入时间", "imported_at"),
    )
    list_filter = (choice_filter("CA 服务商", "provider__code", provider_choices),)
    search_help_text = "CA锁ID 或账户"
    search_fields = ("lock_id",)
    list_select_related = ("account", "provider")
    ordering = ("-imported_at", "id")

    def find(self, rows: QuerySet[PendingBinding], words: str) -> QuerySet[PendingBinding]:
        people = keys_of(Account.objects.filter(username=words).values_list("pk", flat=True))
        return rows.filter(
            pk__in=keys_of(
                rows.filter(lock_id__startswith=words).order_by().values_list("pk", flat=True),
                rows.filter(account__in=people).order_by().values_list("pk", flat=True),
            )
        )

    @list_column("账户")
    def account_name(self, row: PendingBinding) -> str:
        return person(row.account)

    def title_of(self, row: PendingBinding) -> str:
        return f"待激活绑定 {row.lock_id}"

    def context_of(self, row: PendingBinding) -> dict[str, Any]:
        return {"masked": mask_name(row.account.name)}

    def step_withdraw(self, request: HttpRequest, row: PendingBinding) -> HttpResponse:
        withdraw_claim(claim=row.pk, **asked_by(request))
        return HttpResponseRedirect(reverse("admin:locks_pendingbinding_changelist"))
