"""Organisations in the console: who they are, what they were called before, and their members."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from calock.server.accounts.models import Account
from calock.server.accounts.organisations import rename_organisation, set_lock_only, set_organisation_state
from calock.server.approvals.models import Approval
from calock.server.console.decisions import lock_only
from calock.server.console.decisions import organisations as decisions
from calock.server.console.filters import choice_filter
from calock.server.console.lists import ReadOnlyAdmin, badge, field_column, keys_of, list_column
from calock.server.console.pages.common import asked_by, reasoned_by, version_of
from calock.server.console.pages.people import organisation_named
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationState
from calock.server.tools.masking import mask_name

TONES = {OrganisationState.ACTIVE: "good", OrganisationState.DISABLED: "bad", OrganisationState.MERGED: ""}
SHOWN = 200
"""Members on an organisation's page; the list of accounts finds the others by the organisation's code."""


@admin.register(Organisation)
class OrganisationAdmin(ReadOnlyAdmin):
    template = "console/organisation.html"
    change_list_template = "console/organisation_list.html"
    list_display = ("name", "uscc", field_column("类型", "kind"), "state_badge", "people", field_column("创建时间", "created_at"))
    list_filter = (
        choice_filter("类型", "kind", lambda: list(OrganisationKind.choices)),
        choice_filter("状态", "state", lambda: list(OrganisationState.choices)),
    )
    search_help_text = "单位名称或统一社会信用代码，含曾用的"
    search_fields = ("name",)
    ordering = ("name", "uscc")

    def find(self, rows: QuerySet[Organisation], words: str) -> QuerySet[Organisation]:
        return rows.filter(pk__in=keys_of(Organisation.objects.named(words).values_list("pk", flat=True)))

    def attach(self, rows: list[Any]) -> None:
        members = Account.objects.filter(organisation__in=[row.pk for row in rows]).order_by().values_list("organisation")
        counts = dict(members.annotate(count=Count("pk")))
        for row in rows:
            row.member_count = counts.get(row.pk, 0)

    @list_column("状态")
    def state_badge(self, row: Organisation) -> SafeString:
        return badge(TONES[OrganisationState(row.state)], row.get_state_display())

    @list_column("成员")
    def people(self, row: Any) -> int:
        count: int = row.member_count
        return count

    def context_of(self, row: Organisation) -> dict[str, Any]:
        members = row.members.order_by("username")
        return {
            "tone": TONES[OrganisationState(row.state)],
            "members": [(member, mask_name(member.name)) for member in members[:SHOWN]],
            "total": members.count(),
            "former": row.former_names.all(),
            "absorbed": row.absorbed.all(),
            "way_in": lock_only.WORDS[row.lock_only],
            "less": lock_only.less(row.lock_only),
            "waiting_here": Approval.objects.open_at(timezone.now()).filter(target=str(row.pk)).select_related("proposed_by"),
        }

    def step_disable(self, request: HttpRequest, row: Organisation) -> None:
        set_organisation_state(organisation=row, state=OrganisationState.DISABLED, **asked_by(request))

    def step_enable(self, request: HttpRequest, row: Organisation) -> None:
        set_organisation_state(organisation=row, state=OrganisationState.ACTIVE, **asked_by(request))

    def step_lock_only(self, request: HttpRequest, row: Organisation) -> None:
        set_lock_only(organisation=row, value=True, **asked_by(request))

    def step_lock_only_less(self, request: HttpRequest, row: Organisation) -> None:
        decisions.propose_lock_only(
            organisation=row,
            value=lock_only.chosen(request.POST),
            **reasoned_by(request),
        )

    def step_rename(self, request: HttpRequest, row: Organisation) -> None:
        rename_organisation(organisation=row, name=request.POST.get("name", ""), version=version_of(request), **asked_by(request))

    def step_code(self, request: HttpRequest, row: Organisation) -> None:
        decisions.propose_code(
            organisation=row,
            version=version_of(request),
            name=request.POST.get("name", ""),
            uscc=request.POST.get("uscc", ""),
            **reasoned_by(request),
        )

    def step_merge(self, request: HttpRequest, row: Organisation) -> None:
        decisions.propose_merger(
            source=row,
            version=version_of(request),
            target=organisation_named(request.POST.get("uscc", "")),
            **reasoned_by(request),
        )
