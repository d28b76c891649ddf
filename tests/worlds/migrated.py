"""A migrated database, of which each worker of the tests has a copy: migrating takes three seconds, a copy a moment."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import django
import psycopg
import pytest
from serving import calock
from worlds.workers import made_once

from calock import server

KEPT = Path(__file__).resolve().parents[2] / "build" / "migrated"


def put(path: str | Path) -> None:
    """Copy one of SQLite to ``path``; it is made anew when the server's code changed."""
    code = hashlib.sha256(f"{django.VERSION} {sqlite3.sqlite_version}".encode())
    for module in sorted(Path(server.__file__).parent.rglob("*.py")):
        code.update(module.read_bytes())
    kept = KEPT / f"{code.hexdigest()}.sqlite3"
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not kept.exists():
            _make(kept)
        shutil.copyfile(kept, path)


def _make(kept: Path) -> None:
    """In place of those of other code."""
    with TemporaryDirectory(dir=KEPT) as folder:
        done = calock(Path(folder), "manage", "migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        for old in KEPT.glob("*.sqlite3"):
            old.unlink()
        Path(folder, "calock.sqlite3").rename(kept)


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
