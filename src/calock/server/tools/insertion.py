"""Rows of several models, inserted together: on PostgreSQL by one statement, and so in one journey to the database.

Hand-written because it was measured: against the ORM's own statements it halves the application's time of a login
(docs/decisions). The models still own the schema: names and value conversions come from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, connections, models, transaction

_AS_THEY_ARE = (models.CharField, models.DateTimeField, models.ForeignKey, models.UUIDField)
"""Fields whose values psycopg takes without Django's help: converting the forty values that a login writes costs as much as a
signature.
"""


class _Insertion(NamedTuple):
    """How the rows of one model are written."""

    statement: str
    columns: tuple[tuple[str, models.Field[Any, Any] | None], ...]
    """Attribute of the row, and the field that converts its value; None: the database takes it as it is."""


@cache
def _insertion(model: type[models.Model], vendor: str) -> _Insertion:
    meta = model._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    given = (field for field in meta.concrete_fields if not isinstance(field, models.AutoField))
    fields = tuple(field for field in given if not hasattr(field.db_default, "resolve_expression"))  # the database's own clock
    columns = ", ".join(f'"{field.column}"' for field in fields)
    marks = ", ".join("%s" for _ in fields)
    statement = f'INSERT INTO "{meta.db_table}" ({columns}) VALUES ({marks})'  # noqa: S608 - names of our own models
    as_they_are = _AS_THEY_ARE if vendor == "postgresql" else ()
    return _Insertion(statement, tuple((field.attname, None if isinstance(field, as_they_are) else field) for field in fields))


@cache
def _all_at_once(statements: tuple[str, ...]) -> str:
    *others, last = statements
    return f"WITH {', '.join(f'r{place} AS ({other})' for place, other in enumerate(others))} {last}"


def insert_together(rows: Sequence[models.Model]) -> None:
    """Insert all of these rows or none, without asking for anything back.

    Raises:
        IntegrityError: one of them stands against what is there. The caller's transaction, if there is one, goes on.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    written = [_written(row, connection) for row in rows]
    if connection.vendor == "postgresql":  # where statements can be parts of one, which is a transaction by itself
        statements, values = zip(*written, strict=True)
        written = [(_all_at_once(statements), [*chain.from_iterable(values)])]
        if not connection.in_atomic_block:
            _execute(written, connection)
            return
    with transaction.atomic():
        _execute(written, connection)


def _written(row: models.Model, connection: Any) -> tuple[str, list[Any]]:
    statement, columns = _insertion(type(row), connection.vendor)
    values = [(getattr(row, name), field) for name, field in columns]
    return statement, [value if field is None else field.get_db_prep_save(value, connection) for value, field in values]


def _execute(written: Sequence[tuple[str, list[Any]]], connection: Any) -> None:
    with connection.cursor() as cursor:
        for statement, values in written:
            cursor.execute(statement, values)
