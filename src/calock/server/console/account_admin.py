"""Accounts in the console. Lists mask names; showing one, to confirm a caller by name, is an act with an audit row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from calock.server.accounts import members
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.password_tries import closed_to_strangers_until
from calock.server.accounts.services import reset_password
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.console.decisions import accounts as account_decisions
from calock.server.console.decisions import lock_only
from calock.server.console.decisions import operators as operator_decisions
from calock.server.console.filters import choice_filter
from calock.server.console.lists import ReadOnlyAdmin, badge, field_column, keys_of, list_column
from calock.server.console.lock_admin import state_badge
from calock.server.console.pages.common import asked_by, operator_and_context, reasoned_by
from calock.server.console.pages.people import code_page, organisation_named
from calock.server.contacts.models import Contact
from calock.server.locks.models import Binding
from calock.server.messaging.operator_removal import take_contact_away
from calock.server.organisations.models import Organisation
from calock.server.tools.masking import mask_name


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    template = "console/account.html"
    change_list_template = "console/account_list.html"
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
    search_fields = ("username",)
    list_select_related = ("organisation",)
    ordering = ("username",)

    def find(self, rows: QuerySet[Account], words: str) -> QuerySet[Account]:
        """The account of that name; else those whose account or name begins so, and the members of such organisations."""
        exact = rows.filter(username=words)
        if exact.exists():
            return exact
        places = keys_of(Organisation.objects.named(words).values_list("pk", flat=True))
        found = keys_of(
            rows.filter(username__startswith=words).order_by("username").values_list("pk", flat=True),
            rows.filter(name__startswith=words).order_by().values_list("pk", flat=True),
            rows.filter(organisation__in=places).order_by().values_list("pk", flat=True),
        )
        return rows.filter(pk__in=found)

    def attach(self, rows: list[Any]) -> None:
        live = Binding.objects.live().filter(account__in=[row.pk for row in rows]).order_by().values_list("account")
        counts = dict(live.annotate(count=Count("pk")))
        for row in rows:
            row.live_locks = counts.get(row.pk, 0)

    @list_column("姓名")
    def masked(self, row: Account) -> str:
        return mask_name(row.name)

    @list_column("状态")
    def state_badge(self, row: Account) -> SafeString:
        return badge("good" if row.is_active else "bad", row.get_state_display())

    @list_column("绑定中的锁")
    def locks(self, row: Any) -> int:
        count: int = row.live_locks
        return count

    def title_of(self, row: Account) -> str:
        return f"{mask_name(row.name)}（{row.username}）"

    def context_of(self, row: Account) -> dict[str, Any]:
        at = timezone.now()
        bindings = row.bindings.select_related("lock__provider").order_by("-bound_at")
        return {
            "masked": mask_name(row.name),
            "bindings": [(one, state_badge(one)) for one in bindings[:50]],
            "sessions": row.sessions.filter(ended_at__isnull=True, expires_at__gt=at).order_by("-last_seen_at")[:20],
            "strangers_out_until": closed_to_strangers_until(row.username, at=at),
            "open_code": row.password_codes.filter(used_at__isnull=True, expires_at__gt=at).first(),
            "contacts": list(Contact.objects.kept().filter(account=row).order_by("kind", "added_at")),
            "way_in": lock_only.WORDS[row.lock_only],
            "less": lock_only.less(row.lock_only),
            "waiting_here": Approval.objects.open_at(at).filter(target=str(row.pk)).select_related("proposed_by"),
        }

    def step_show_name(self, request: HttpRequest, row: Account) -> HttpResponse:
        """Shown on this answer only, and noted: who asked for which account's name."""
        operator, context = operator_and_context(request)
        record(Event.ACCOUNT_NAME_SHOWN, context=context, actor=operator, subject=row.pk, organisation=row.organisation_id)
        return self.show(request, row, name=row.name)

    def step_reset(self, request: HttpRequest, row: Account) -> HttpResponse:
        code = reset_password(member=row, **asked_by(request))
        return code_page(request, row, code)

    def step_take_contact(self, request: HttpRequest, row: Account) -> None:
        take_contact_away(member=row, contact=request.POST.get("contact", ""), **reasoned_by(request))

    def step_disable(self, request: HttpRequest, row: Account) -> None:
        members.set_account_state(member=row, state=AccountState.DISABLED, **asked_by(request))

    def step_enable(self, request: HttpRequest, row: Account) -> None:
        members.set_account_state(member=row, state=AccountState.ACTIVE, **asked_by(request))

    def step_rename(self, request: HttpRequest, row: Account) -> None:
        members.rename_account(member=row, name=request.POST.get("name", "").strip(), **asked_by(request))

    def step_demote(self, request: HttpRequest, row: Account) -> None:
        members.demote(member=row, **asked_by(request))

    def step_promote(self, request: HttpRequest, row: Account) -> None:
        account_decisions.propose_administrator(member=row, **reasoned_by(request))

    def step_move(self, request: HttpRequest, row: Account) -> None:
        target = organisation_named(request.POST.get("uscc", ""))
        account_decisions.propose_move(member=row, organisation=target, **reasoned_by(request))

    def step_erase(self, request: HttpRequest, row: Account) -> None:
        account_decisions.propose_erasure(member=row, **reasoned_by(request))

    def step_lock_only(self, request: HttpRequest, row: Account) -> None:
        members.set_lock_only(member=row, value=True, **asked_by(request))

    def step_lock_only_less(self, request: HttpRequest, row: Account) -> None:
        account_decisions.propose_lock_only(member=row, value=lock_only.chosen(request.POST), **reasoned_by(request))

    def step_enrol(self, request: HttpRequest, row: Account) -> None:
        operator_decisions.propose_enrolment(member=row, **reasoned_by(request))

    def step_operator_disable(self, request: HttpRequest, row: Account) -> None:
        self._propose_operator_state(request, row, AccountState.DISABLED)

    def step_operator_enable(self, request: HttpRequest, row: Account) -> None:
        self._propose_operator_state(request, row, AccountState.ACTIVE)

    @staticmethod
    def _propose_operator_state(request: HttpRequest, row: Account, state: AccountState) -> None:
        operator_decisions.propose_operator_state(member=row, state=state, **reasoned_by(request))
