# ruff: noqa: ARG002 - Django's admin prescribes these signatures
"""The sieves above a list. Their own parameters are the only ones that a list accepts (``lists.ReadOnlyAdmin.lookup_allowed``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from calock.server.providers.models import Provider
from calock.server.sites.registry import sites


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


class DateRangeFilter(admin.ListFilter):
    """Rows between two dates, both included, in the server's time zone. Parameters: ``from`` and ``to``, ``YYYY-MM-DD``."""

    title = "时间"
    template = "admin/date_range.html"
    field = "at"
    parameters = ("from", "to")
    periods = (("今天", 0), ("7 天内", 6), ("30 天内", 29))

    def __init__(self, request: HttpRequest, params: dict[str, list[str]], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        chosen = [params.pop(name, [""])[-1] for name in self.parameters]
        self.first, self.last = (_date(text) for text in chosen)
        self.others: dict[str, Any] = {}
        """What else the list is asked for; the form sends it along."""

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        left_out = {*self.parameters, PAGE_VAR}
        self.others = {name: value for name, value in changelist.params.items() if name not in left_out}
        today = timezone.localdate()
        for words, days in self.periods:
            first = today - timedelta(days=days)
            chosen = (self.first, self.last) == (first, today)
            query = changelist.get_query_string({"from": f"{first}", "to": f"{today}"})
            yield {"selected": chosen, "query_string": query, "display": words}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.first is not None:
            queryset = queryset.filter(**{f"{self.field}__gte": _midnight(self.first)})
        if self.last is not None:
            queryset = queryset.filter(**{f"{self.field}__lt": _midnight(self.last + timedelta(days=1))})
        return queryset


def _date(text: str) -> date | None:
    """A date that has a day before and after it; None for everything else."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year <= 9000 else None


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
