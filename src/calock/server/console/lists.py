# ruff: noqa: ARG002 - Django's admin prescribes these signatures and class attributes
"""Read-only lists on Django's admin, for a platform of any size; changing anything is a service's.

What is shown is looked up by an index, and cut before anything is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from calock.core.refusals import Reason, Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.console.acts import ACTS
from calock.server.console.pages.common import operator_and_context, page, take
from calock.server.portal.templatetags.portal import moment
from calock.server.tools.masking import mask_name
from calock.server.web import exports

MAX_SEARCH = 100
"""Characters of a search that count: databases refuse patterns and conditions without end."""
CHUNK = 500
"""Rows of an export that are looked up together."""
MAX_LISTED = 1000
"""Rows that a list leads to; who looks for others narrows it. Counting further would visit every row of a platform."""


def badge(tone: str, words: str) -> SafeString:
    """A coloured word; ``tone`` is good, warn, bad or nothing."""
    return format_html('<span class="badge {}">{}</span>', tone, words)


# generic in their type information only
if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _Paginator = Paginator[Any]
else:
    _ModelAdmin, _Paginator = admin.ModelAdmin, Paginator


class BoundedPaginator(_Paginator):
    """Counts to ``MAX_LISTED`` and no further."""

    @cached_property
    def count(self) -> int:
        rows = cast(QuerySet[Any], self.object_list)  # a list's query
        return rows.order_by()[:MAX_LISTED].count()


class PageList(ChangeList):
    """Django's list, which lets its admin look up what the shown rows need, and only theirs."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        cast(ReadOnlyAdmin, self.model_admin).attach(rows)
        self.result_list = rows
        self.more_than_listed = self.result_count >= MAX_LISTED


class ReadOnlyAdmin(_ModelAdmin):
    """A list and a page for each row. Rows are never added, changed or deleted through the admin.

    A page's button posts ``step``; ``acts.ACTS`` says whether the page has it, and the method ``step_<step>`` does it.
    """

    actions = None
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    sortable_by = ()
    paginator = BoundedPaginator
    template = ""
    """The row's page."""
    export_columns: tuple[Any, ...] = ()
    """Of the file; empty: the list's own."""
    heading = ""
    """Of the list; empty: the model's own words."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_inlines(self, request: HttpRequest, obj: Model | None) -> list[type[InlineModelAdmin[Any, Any]]]:
        return []

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PageList

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The filters' own parameters and nothing else: any other would let its reader ask for hidden columns, row by row."""
        return lookup in {name for item in self.list_filter for name in _parameters(item)}

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        heading = self.heading or str(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": heading, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        return [path("export/", self.admin_site.admin_view(require_GET(self.export)), name=name), *super().get_urls()]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """The whole list that the address asks for, as a file. Query: the list's own, and ``format``."""
        asked = request.GET.copy()
        kind = asked.pop("format", [""])[-1]
        asked.pop(PAGE_VAR, None)  # of the page that the link stood on: one that is not there any more is no list
        if kind not in exports.TYPES:
            raise Refusal(Reason.REQUEST_MALFORMED, "format")
        request.GET = asked  # type: ignore[assignment]  # else the list takes it for a filter
        rows = self.get_changelist_instance(request).queryset[: exports.MAX_ROWS]
        operator, context = operator_and_context(request)
        told = asked.copy()
        if not (words := told.get(SEARCH_VAR, "")).isascii():
            told[SEARCH_VAR] = mask_name(words)  # the trail holds no names
        about = {"list": self.opts.model_name or "", "format": kind, "rows": rows.count(), "query": told.urlencode()}
        record(Event.LIST_EXPORTED, context=context, actor=operator, details=about)
        title = self.heading or str(self.opts.verbose_name_plural)
        return exports.file_of(title, kind, self._exported(rows))

    def _exported(self, rows: QuerySet[Any]) -> Iterator[list[Any]]:
        columns = self.export_columns or tuple(self.list_display)
        yield [label_for_field(column, self.model, model_admin=self) for column in columns]
        waiting = rows.iterator(chunk_size=CHUNK)
        while chunk := list(islice(waiting, CHUNK)):
            self.attach(chunk)
            yield from ([self._cell(column, row) for column in columns] for row in chunk)

    def _cell(self, column: Any, row: Any) -> Any:
        if callable(column):
            return column(row)
        return getattr(self, column)(row) if hasattr(self, column) else getattr(row, column)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        words = search_term.strip()[:MAX_SEARCH]
        return (self.find(queryset, words) if words else queryset), False

    def find(self, rows: QuerySet[Any], words: str) -> QuerySet[Any]:
        """The rows that ``words`` name, by indexed columns; ``search_fields`` only says that there is a search."""
        raise NotImplementedError

    def attach(self, rows: list[Any]) -> None:
        """Look up what the shown rows need besides their columns."""

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
            return self._take(request, row) or HttpResponseRedirect(request.path)
        return self.show(request, row)

    def _take(self, request: HttpRequest, row: Any) -> HttpResponse | None:
        name = f"{self.opts.app_label}_{self.opts.model_name}_change"
        if not ACTS[name]:
            raise Http404
        step = request.POST.get("step", "")
        return take(request, name, step, lambda: getattr(self, f"step_{step}")(request, row))

    def show(self, request: HttpRequest, row: Any, **context: Any) -> HttpResponse:
        """The row's page."""
        return page(request, self.template, title=self.title_of(row), row=row, **self.context_of(row), **context)

    def title_of(self, row: Any) -> str:
        return str(row)

    def context_of(self, row: Any) -> dict[str, Any]:
        """What the row's page shows besides the row."""
        return {}


def _parameters(item: Any) -> Iterable[str]:
    return getattr(item, "parameters", None) or (item.parameter_name,)


def keys_of(*queries: QuerySet[Any]) -> set[Any]:
    """What several queries name, each cut at ``MAX_LISTED``. One after the other each uses its index; joined by OR none would."""
    return {key for query in queries for key in query[:MAX_LISTED]}


def list_column(words: str, order: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A column with a Chinese heading."""
    return admin.display(description=words, ordering=order)


def field_column(words: str, field: str) -> Callable[[Any], Any]:
    """A column that shows a field: the words of a choice, a moment as the manuals print it, ``-`` for nothing."""

    @list_column(words, field)
    def value_of(row: Any) -> Any:
        words_of_choice = getattr(row, f"get_{field}_display", None)
        value = words_of_choice() if words_of_choice else getattr(row, field)
        return moment(value) if isinstance(value, datetime) else "-" if value in (None, "") else value

    return value_of
