"""Copies of the tests' database to go back to in a moment: to walk over migrations takes seconds."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import Callable

import psycopg
from django.db import connection

_numbers = itertools.count(1)


def kept_copy() -> Callable[[], None]:
    """Keep the database as it is now, tables and rows. What is given puts it back; no transaction may be open, now or then."""
    connection.ensure_connection()
    return _on_sqlite() if connection.vendor == "sqlite" else _on_postgresql()


def _on_sqlite() -> Callable[[], None]:
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    connection.connection.backup(kept)

    def back() -> None:
        connection.ensure_connection()
        kept.backup(connection.connection)

    return back


def _on_postgresql() -> Callable[[], None]:
    name = connection.settings_dict["NAME"]
    kept = f"{name}_copy_{next(_numbers)}"
    _made_from(kept, name)
    return lambda: _made_from(name, kept)


def _made_from(name: str, other: str) -> None:
    connection.close()
    with psycopg.connect(os.environ["CALOCK_TEST_DATABASE_URL"], autocommit=True) as making:
        making.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        making.execute(f'CREATE DATABASE "{name}" TEMPLATE "{other}"')
