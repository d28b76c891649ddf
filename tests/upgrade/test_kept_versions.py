"""Databases of released versions are taken over, and what is new leaves the version before it working beside this one."""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader
from serving import environment

KEPT = Path(__file__).parent / "kept"
CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
VERSIONS = sorted(path.name for path in KEPT.iterdir())
LOOK = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("migrate", "--check")
call_command("register", "check")
call_command("operators", "list")
call_command("sealed_rows", "seal", "--yes-the-list-is-right")
call_command("sealed_rows", "list")
call_command("operators", "list")
call_command("verify_audit")
"""


def kept_sql(version: str, data: Path, name: str) -> bytes:
    """A database as SQL, whose secret lies in ``data`` now."""
    data.mkdir(mode=0o700)
    (data / "secret.key").write_bytes((KEPT / version / f"{name}.key").read_bytes())
    return gzip.decompress((KEPT / version / f"{name}.sql.gz").read_bytes())


def put_back(version: str, data: Path) -> Path:
    sql = kept_sql(version, data, "sqlite").decode()
    with sqlite3.connect(data / "calock.sqlite3") as database:
        database.executescript(sql)
    return data


@pytest.fixture
def put_back_on_postgresql(tmp_path):
    """``put_back_on_postgresql(version)``: the data directory, and the address of a database that ends with the test."""
    if connection.vendor != "postgresql":
        pytest.skip("on PostgreSQL only: `make test` runs it there")
    server, name = os.environ["CALOCK_TEST_DATABASE_URL"].rpartition("/")[0], f"kept_{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as making:
        making.execute(f"CREATE DATABASE {name}")

    def put_back(version):
        sql = kept_sql(version, tmp_path / "data", "postgresql")
        load = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", f"{server}/{name}"]
        subprocess.run(load, input=sql, check=True)
        return tmp_path / "data", f"{server}/{name}"

    yield put_back
    with psycopg.connect(f"{server}/postgres", autocommit=True) as ending:
        ending.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_a_released_version_is_taken_over_whole(version, tmp_path):
    """Schema, register, operators' seals and the audit trail."""
    require_taken_over(put_back(version, tmp_path / "data"))


@pytest.mark.postgresql
@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_a_released_version_is_taken_over_whole_on_postgresql(version, put_back_on_postgresql):
    data, address = put_back_on_postgresql(version)
    require_taken_over(data, DATABASE_URL=address)


def require_taken_over(data: Path, **more: str) -> None:
    run = environment(data, DJANGO_SETTINGS_MODULE="calock.server.process.settings", **more)
    done = subprocess.run([sys.executable, "-c", LOOK], env=run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of the register is intact" in done.stdout
    assert "every row is as it was sealed" in done.stdout
    assert "whole: " in done.stdout


BEARABLE = (
    operations.CreateModel,
    operations.AddIndex,
    operations.RemoveIndex,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
)
"""What a program that does not know of it never meets."""


def is_bearable(operation: operations.Operation) -> bool:
    """Whether the version before can go on writing: a new column must fill itself."""
    if isinstance(operation, operations.AddField):
        return operation.field.null or operation.field.has_db_default()
    return isinstance(operation, BEARABLE)


def released() -> list[str]:
    return re.findall(r"^## (\d+\.\d+\.\d+) (?!\(unreleased\))", CHANGELOG.read_text("utf-8"), re.MULTILINE)


def applied(version: str, data: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(put_back(version, data) / "calock.sqlite3") as database:
        return set(database.execute("SELECT app, name FROM django_migrations"))


@pytest.mark.django_db
def test_the_version_before_serves_the_same_database_beside_this_one(tmp_path):
    """A rolling upgrade: the first new machine migrates while the old ones serve. What must go goes one version later."""
    before = [version for version in released() if version in VERSIONS]
    known = applied(before[0], tmp_path / "data") if before else None
    disk = MigrationLoader(connection).disk_migrations
    new = (
        []
        if known is None
        else [migration for key, migration in disk.items() if key not in known and not key[0].startswith("auth")]
    )
    assert not [(migration, step) for migration in new for step in migration.operations if not is_bearable(step)]


def test_what_would_break_the_version_before_is_recognised():
    from django.db import models  # noqa: PLC0415

    assert not is_bearable(operations.RemoveField("account", "name"))
    assert not is_bearable(operations.RenameField("account", "name", "title"))
    assert not is_bearable(operations.AddField("account", "must", models.TextField()))
    assert is_bearable(operations.AddField("account", "may", models.TextField(db_default="")))


def test_each_released_version_left_its_database():
    assert set(released()) <= set(VERSIONS)
