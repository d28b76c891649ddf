"""Rows of several models, inserted together: on PostgreSQL by one statement, and so in one journey to the database.

Hand-written because it was measured: against the ORM's own statements it halves the application's time of a login
(docs/decisions). The models still own the schema: names and value conversions come from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

_AS_THEY_ARE = (models.CharField, models.DateTimeField, models.ForeignKey, models.UUIDField)
"""Fields whose values psycopg takes without Django's help: converting the forty values that a login writes costs as much as a
signature.
"""


class Proviso(NamedTuple):
    """What must hold for rows to be inserted, and holds until they are: a SELECT or UPDATE that meets a row then."""

    statement: str
    values: Sequence[Any]
    on_postgresql: str
    """How the statement ends there, so that it locks the row, or tells of it."""


class _Insertion(NamedTuple):
    """How the rows of one model are written."""

    table: str
    marks: str
    columns: tuple[tuple[str, models.Field[Any, Any] | None], ...]
    """Attribute of the row, and the field that converts its value; None: the database takes it as it is."""


@cache
def _insertion(model: type[models.Model], vendor: str) -> _Insertion:
    meta = model._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    given = (field for field in meta.concrete_fields if not isinstance(field, models.AutoField))
    fields = tuple(field for field in given if not hasattr(field.db_default, "resolve_expression"))  # the database's own clock
    columns = ", ".join(f'"{field.column}"' for field in fields)
    as_they_are = _AS_THEY_ARE if vendor == "postgresql" else ()
    return _Insertion(
        f'"{meta.db_table}" ({columns})',
        ", ".join("%s" for _ in fields),
        tuple((field.attname, None if isinstance(field, as_they_are) else field) for field in fields),
    )


@cache
def _all_at_once(tables: tuple[tuple[str, str], ...], proviso: str) -> str:
    """One statement for rows of these tables, with the marks of their values."""
    source = "SELECT {} FROM met" if proviso else "VALUES ({})"
    *others, last = [f"INSERT INTO {table} {source.format(marks)}" for table, marks in tables]
    parts = ([f"met AS ({proviso})"] if proviso else []) + [f"r{place} AS ({other})" for place, other in enumerate(others)]
    return f"WITH {', '.join(parts)} {last}" if parts else last


def insert_together(rows: Sequence[models.Model], *, provided: Proviso | None = None) -> bool:
    """Insert all of these rows or none, without asking for anything back; False, and none, when ``provided`` meets no row.

    Raises:
        IntegrityError: one of them stands against what is there. The caller's transaction, if there is one, goes on.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql" and not connection.in_atomic_block:  # one statement is a transaction by itself
        return _insert_at_once(rows, provided, connection)
    with transaction.atomic():
        if connection.vendor == "postgresql":
            return _insert_at_once(rows, provided, connection)
        return _insert_in_turn(rows, provided, connection)


def _values(row: models.Model, columns: Sequence[tuple[str, models.Field[Any, Any] | None]], connection: Any) -> list[Any]:
    values = ((getattr(row, name), field) for name, field in columns)
    return [value if field is None else field.get_db_prep_save(value, connection) for value, field in values]


def _insert_at_once(rows: Sequence[models.Model], provided: Proviso | None, connection: Any) -> bool:
    insertions = [_insertion(type(row), connection.vendor) for row in rows]
    proviso = f"{provided.statement} {provided.on_postgresql}" if provided is not None else ""
    statement = _all_at_once(tuple((to.table, to.marks) for to in insertions), proviso) if rows else proviso
    values = [*(provided.values if provided is not None else ())]
    for row, to in zip(rows, insertions, strict=True):
        values += _values(row, to.columns, connection)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return bool(cursor.rowcount)


def _insert_in_turn(rows: Sequence[models.Model], provided: Proviso | None, connection: Any) -> bool:
    with connection.cursor() as cursor:
        if provided is not None:
            cursor.execute(provided.statement, provided.values)
            met = cursor.fetchone() if cursor.description else cursor.rowcount
            if not met:
                return False
        for row in rows:
            table, marks, columns = _insertion(type(row), connection.vendor)
            cursor.execute(f"INSERT INTO {table} VALUES ({marks})", _values(row, columns, connection))  # noqa: S608 - our own models
    return True
