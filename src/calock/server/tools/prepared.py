"""Queries of Django's ORM that are written out once and asked many times.

To write a query out takes the ORM several times as long as a database takes to answer it. Where each request of a busy way asks
the same with other values, the query is prepared: its SQL is made when it is asked first, by the ORM as ever, and afterwards only
the values change. So what a row must fulfil is said once, by the models' own query sets, and nowhere in hand-written SQL.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, QuerySet
from django.db.models.query import ModelIterable, get_related_populators

Row = TypeVar("Row")


class Parameter(Expression):
    """A value that is known when the query is asked, in a filter where the value itself would stand."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, _compiler: object, _connection: object) -> tuple[str, Any]:
        return "%s", (self,)


class _Written(NamedTuple):
    """A query as it goes to the database, and how its rows are read."""

    statement: str
    values: tuple[Any, ...]
    """A :class:`Parameter`, or a value that is the same each time."""
    converters: tuple[tuple[int, Callable[..., Any], Any], ...]
    make: Callable[[list[Any]], Any]


class Prepared(Generic[Row]):
    """One query. ``queryset`` makes it, with a :class:`Parameter` for whatever differs; nothing else in it may."""

    def __init__(self, queryset: Callable[[], QuerySet[Any, Row]]) -> None:
        self._queryset = queryset
        self._of_thread = threading.local()  # what is written out holds the thread's connection

    def first(self, **values: object) -> Row | None:
        """The row, or one of several."""
        connection = connections[DEFAULT_DB_ALIAS]
        written: _Written | None = getattr(self._of_thread, "written", None)
        if written is None:
            written = self._of_thread.written = _write(self._queryset(), connection)
        given = [
            one.output_field.get_db_prep_value(values[one.name], connection) if isinstance(one, Parameter) else one
            for one in written.values
        ]
        with connection.cursor() as cursor:
            cursor.execute(written.statement, given)
            found = cursor.fetchone()
        if found is None:
            return None
        row = list(found)
        for place, convert, expression in written.converters:
            row[place] = convert(row[place], expression, connection)
        return cast("Row", written.make(row))


def _write(queryset: QuerySet[Any, Any], connection: Any) -> _Written:
    compiler = queryset.query.get_compiler(connection=connection)
    statement, values = compiler.as_sql()
    converters = compiler.get_converters([expression for expression, *_ in compiler.select])
    flat = [(place, convert, expression) for place, (several, expression) in converters.items() for convert in several]
    whole = queryset._iterable_class is ModelIterable  # noqa: SLF001 - else values_list
    make = _instances(compiler.klass_info, compiler.select, compiler.annotation_col_map) if whole else tuple
    return _Written(statement, tuple(values), tuple(flat), make)


def _instances(info: dict[str, Any], select: Sequence[Any], annotations: dict[str, int] | None) -> Callable[[list[Any]], Any]:
    """How Django itself makes a model of a row, with what ``select_related`` brings and what is annotated."""
    columns = info["select_fields"]
    start, end = columns[0], columns[-1] + 1
    names = [expression.target.attname for expression, *_ in select[start:end]]
    related = get_related_populators(info, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # typed for a later Django

    def make(row: list[Any]) -> Any:
        made = info["model"].from_db(DEFAULT_DB_ALIAS, names, row[start:end])
        for populator in related:
            populator.populate(row, made)
        for name, place in (annotations or {}).items():
            setattr(made, name, row[place])
        return made

    return make
