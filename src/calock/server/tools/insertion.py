"""Rows of several models, inserted together: on PostgreSQL by one statement, and so in one journey to the database.

Hand-written because it was measured: against the ORM's own statements it halves the application's time of a login
(docs/decisions). The models still own the schema: names and value conversions come from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

_AS_THEY_ARE = (
    models.BinaryField, models.CharField, models.DateTimeField, models.ForeignKey, models.GenericIPAddressField, models.UUIDField,
)  # fmt: skip
"""Fields whose values PostgreSQL takes without Django's help: converting the forty values that a login writes costs as much as a
signature.
"""
Convert = Callable[[Any, Any], Any]
"""What makes a value, for a connection, into one that the database takes."""


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
    columns: tuple[tuple[str, Convert | None], ...]
    """Attribute of the row, and what converts its value; None: the database takes it as it is."""


def _as_json(value: Any, _: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _conversion(field: models.Field[Any, Any], vendor: str) -> Convert | None:
    if vendor != "postgresql":
        return field.get_db_prep_save
    if isinstance(field, models.JSONField):
        return _as_json
    return None if isinstance(field, _AS_THEY_ARE) else field.get_db_prep_save


@cache
def _insertion(model: type[models.Model], vendor: str) -> _Insertion:
    meta = model._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    given = (field for field in meta.concrete_fields if not isinstance(field, models.AutoField))
    fields = tuple(field for field in given if not hasattr(field.db_default, "resolve_expression"))  # the database's own clock
    columns = ", ".join(f'"{field.column}"' for field in fields)
    return _Insertion(
        f'"{meta.db_table}" ({columns})',
        ", ".join("%s" for _ in fields),
        tuple((field.attname, _conversion(field, vendor)) for field in fields),
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


def _values(row: models.Model, columns: Sequence[tuple[str, Convert | None]], connection: Any) -> list[Any]:
    given = vars(row)  # past the descriptors of keys to other tables
    return [given[name] if convert is None else convert(given[name], connection) for name, convert in columns]


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
