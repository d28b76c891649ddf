# ruff: noqa: ARG002, RUF012 - Django's admin prescribes these signatures and class attributes
"""Read-only lists on Django's admin: search, filters and paging are its; changing anything is a service's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from calock.server.console.pages.common import page
from calock.server.portal.templatetags.portal import moment
from calock.server.providers.models import Provider
from calock.server.sites.registry import sites

MAX_SEARCH = 100
"""Characters of a search that count: databases refuse patterns and conditions without end."""


def badge(tone: str, words: str) -> SafeString:
    """A coloured word; ``tone`` is good, warn, bad or nothing."""
    return format_html('<span class="badge {}">{}</span>', tone, words)


if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin  # generic in its type information only


class ReadOnlyAdmin(_ModelAdmin):
    """A list and a page for each row. Rows are never added, changed or deleted through the admin."""

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    template = ""
    """The row's page."""
    heading = ""
    """Of the list; empty: the model's own words."""
    done: dict[str, str] = {}
    """What is said after each step of the row's page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        heading = self.heading or str(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": heading, **(extra_context or {})})

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        return super().get_search_results(request, queryset, search_term[:MAX_SEARCH])

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        raise Http404

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        raise Http404

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        raise Http404

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if request.method == "POST":
            self.step(request, row)
            return HttpResponseRedirect(request.path)
        return page(request, self.template, title=self.title_of(row), row=row, **self.context_of(row))

    def title_of(self, row: Any) -> str:
        return str(row)

    def context_of(self, row: Any) -> dict[str, Any]:
        """What the row's page shows besides the row."""
        return {}

    def step(self, request: HttpRequest, row: Any) -> None:
        """A button of the row's page; a page without buttons takes no POST."""
        raise Http404


class SinceFilter(admin.SimpleListFilter):
    """Rows of the last hour, day, week or month."""

    title = "时间"
    parameter_name = "since"
    field = "at"
    periods = {
        "1h": ("1 小时内", timedelta(hours=1)),
        "24h": ("24 小时内", timedelta(days=1)),
        "7d": ("7 天内", timedelta(days=7)),
        "30d": ("30 天内", timedelta(days=30)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, words) for code, (words, _) in self.periods.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.periods.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(**{f"{self.field}__gt": timezone.now() - chosen[1]})


def choice_filter(title: str, field: str, choices: Callable[[], list[tuple[str, str]]]) -> type[admin.SimpleListFilter]:
    """Rows whose ``field`` has the chosen value; ``choices`` are asked when the page is shown."""

    class ChoiceFilter(admin.SimpleListFilter):
        parameter_name = field.replace("__", "-")

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.title = title
            super().__init__(*args, **kwargs)

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return choices()

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            chosen = self.value()
            return queryset.filter(**{field: chosen}) if chosen in dict(self.lookup_choices) else queryset

    return ChoiceFilter


def provider_choices() -> list[tuple[str, str]]:
    return [(code, name) for code, name in Provider.objects.values_list("code", "name")]


def site_choices() -> list[tuple[str, str]]:
    return [(code, str(profile.names.platform)) for code, profile in sites().items()]


def list_column(words: str, order: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A column with a Chinese heading."""
    return admin.display(description=words, ordering=order)


def field_column(words: str, field: str) -> Callable[[Any], Any]:
    """A column that shows a field: the words of a choice, a moment as the manuals print it, ``-`` for nothing."""

    @list_column(words, field)
    def value_of(row: Any) -> Any:
        words_of_choice = getattr(row, f"get_{field}_display", None)
        value = words_of_choice() if words_of_choice else getattr(row, field)
        return moment(value) if isinstance(value, datetime) else value or "-"

    return value_of
