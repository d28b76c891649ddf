"""A migrated database, of which each worker of the tests has a copy: migrating takes three seconds, a copy a moment."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import django
import psycopg
import pytest
from serving import calock
from worlds.kept_files import kept
from worlds.workers import made_once

from calock import server


def put(path: str | Path) -> None:
    """Copy one of SQLite to ``path``."""
    modules = Path(server.__file__).parent.rglob("*.py")
    shutil.copyfile(kept("migrated", f"{django.VERSION} {sqlite3.sqlite_version}", modules, _make), path)


def _make(folder: Path) -> Path:
    done = calock(folder, "manage", "migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    return folder / "calock.sqlite3"


def put_on_postgresql(server: str, name: str, factory: pytest.TempPathFactory) -> None:
    """The database ``name`` of ``server`` (an address that ends with another one); the first worker of a run migrates."""

    def make(folder: Path) -> None:
        with psycopg.connect(server, autocommit=True) as making:
            making.execute("DROP DATABASE IF EXISTS calock_migrated")
            making.execute("CREATE DATABASE calock_migrated")
        address = f"{server.rpartition('/')[0]}/calock_migrated"
        done = calock(folder, "manage", "migrate", "--verbosity", "0", DATABASE_URL=address)
        assert done.returncode == 0, done.stderr

    made_once(factory, "migrated", make)
    with psycopg.connect(server, autocommit=True) as copying:
        copying.execute(f'DROP DATABASE IF EXISTS "{name}"')
        copying.execute(f'CREATE DATABASE "{name}" TEMPLATE calock_migrated')
