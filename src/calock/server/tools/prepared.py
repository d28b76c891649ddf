"""Queries that are put together once: to turn one into SQL costs Django ten times what it costs PostgreSQL to answer it.

What a row must fulfil is said once, by the models' own query sets, and nowhere in SQL of ours.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import update_wrapper
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, QuerySet
from django.db.models.query import ModelIterable, get_related_populators

Row = TypeVar("Row")


class Slot(Expression):
    """Stands in a query for a value that each execution brings."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def as_sql(self, *_: Any, **__: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class _Plan(NamedTuple):
    """A query as SQL, and how a row of its answer is read."""

    statement: str
    values: dict[str, Any]
    """By the name that each has in the statement: a ``Slot``, or the value itself."""
    converters: Sequence[tuple[int, Callable[..., Any], Any]]
    read: Callable[[list[Any]], Any]


def _plan_of(queryset: QuerySet[Any, Any], connection: Any) -> _Plan:
    compiler = queryset.query.get_compiler(connection=connection)
    statement, values = compiler.as_sql()
    converters = compiler.get_converters([column[0] for column in compiler.select])
    flat = [(place, convert, column) for place, (several, column) in converters.items() for convert in several]
    objects = queryset._iterable_class is ModelIterable  # noqa: SLF001 - else ``values_list``
    # for values without names Django searches the whole statement for their places, each time, when the database is SQLite
    named = {f"value{place}": value for place, value in enumerate(values)}
    statement = statement.replace("%%", "%%%%") % tuple(f"%({name})s" for name in named)
    return _Plan(statement, named, flat, _objects(compiler) if objects else tuple)


def _objects(compiler: Any) -> Callable[[list[Any]], Any]:
    """As ``django.db.models.query.ModelIterable`` reads a row, with what ``select_related`` brings and what is annotated."""
    found, select = compiler.klass_info, compiler.select
    first, end = found["select_fields"][0], found["select_fields"][-1] + 1
    attributes = [column[0].target.attname for column in select[first:end]]
    related = get_related_populators(found, select, DEFAULT_DB_ALIAS)  # type: ignore[call-arg]  # as a later Django has it
    annotated = [*(compiler.annotation_col_map or {}).items()]

    def read(row: list[Any]) -> Any:
        made = found["model"].from_db(DEFAULT_DB_ALIAS, attributes, row[first:end])
        for populator in related:
            populator.populate(row, made)
        for name, place in annotated:
            setattr(made, name, row[place])
        return made

    return read


def _as_stored(value: object, connection: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return value if connection.features.has_native_uuid_field else value.hex
    return connection.ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value


class Prepared(Generic[Row]):
    """A function that makes a query of its arguments, as ``prepared`` gives it back: called, it answers with the rows."""

    def __init__(self, make: Callable[..., QuerySet[Any, Row]]) -> None:
        self._make = make
        self._plans: dict[tuple[object, ...], _Plan] = {}
        update_wrapper(self, make)

    def __call__(self, *values: str | uuid.UUID | datetime | None) -> list[Row]:
        connection = connections[DEFAULT_DB_ALIAS]
        form = (connection.vendor, *(value is None for value in values))
        plan = self._plans.get(form)
        if plan is None:
            slots = (None if value is None else Slot(place) for place, value in enumerate(values))
            plan = self._plans[form] = _plan_of(self._make(*slots), connection)
        given = [_as_stored(value, connection) for value in values]
        named = {name: given[value.place] if isinstance(value, Slot) else value for name, value in plan.values.items()}
        with connection.cursor() as cursor:
            cursor.execute(plan.statement, named)
            rows = [list(row) for row in cursor.fetchall()]
        for row in rows:
            for place, convert, column in plan.converters:
                row[place] = convert(row[place], column, connection)
        return [cast("Row", plan.read(row)) for row in rows]

    def first(self, *values: str | uuid.UUID | datetime) -> Row | None:
        """The row of a query that finds one at most."""
        rows = self(*values)
        return rows[0] if rows else None


def prepared(make: Callable[..., QuerySet[Any, Row]]) -> Prepared[Row]:
    """For a function that makes a query and nothing else, at the first call, of arguments that it only compares columns with.

    Values are bound at each call, as always. An argument that is None is None in the function too: the query may have another form
    without it.
    """
    return Prepared(make)
