"""For every test of the server: no limits, registers or evidence left over from the test before; rows that are made once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache, partial, wraps
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.db.models.signals import post_migrate
from django.dispatch import receiver
from django.test.signals import setting_changed
from worlds import kept
from worlds.locks import LockWorld, make_lock_world

from calock import server
from calock.server.accounts import sealed_rows
from calock.server.accounts.sealed_rows import SealedRow
from calock.server.contacts.models import ContactCode
from calock.server.locks import answers, predecessors
from calock.server.providers import rollback_guard, trust
from calock.server.receipts import blobs
from calock.server.tools import keys, throttle


@pytest.fixture(autouse=True)
def _nothing_left_over():
    throttle.reset()
    _look_at_the_register_again()
    rollback_guard.forget()
    sealed_rows.forget()
    blobs.forget()
    yield
    rollback_guard.forget()
    for left in settings.CALOCK.data.glob("audit-*"):  # a sealing key or heads of a trail that was rolled back
        left.unlink()


def _look_at_the_register_again() -> None:
    """At its seal, as a process does every few seconds: sealed rows that are kept for many tests are read and checked once."""
    if trust._keeper._kept is not None:
        trust._keeper._kept = replace(trust._keeper._kept, checked_at=float("-inf"))


@receiver(setting_changed)
def _the_keys_of_another_secret(*, setting: str, **_: object) -> None:
    if setting.startswith("SECRET_KEY"):
        keys.ring.cache_clear()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """After each test that commits Django would empty every table and write its permissions and content types again.

    calock asks for neither of them, and most tables are empty.
    """
    from django.contrib.auth.management import create_permissions  # noqa: PLC0415 - Django is set up by now
    from django.contrib.contenttypes.management import create_contenttypes  # noqa: PLC0415 - same

    post_migrate.disconnect(dispatch_uid=f"{create_permissions.__module__}.{create_permissions.__name__}")
    post_migrate.disconnect(create_contenttypes)
    connection.ops.sql_flush = _what_is_left


def _what_is_left(style: object, tables: Iterable[str], **options: bool) -> list[str]:
    """Statements that empty the tables after a test that commits. To truncate all, PostgreSQL takes a quarter of a second."""
    quoted = [connection.ops.quote_name(table) for table in tables]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in quoted))
        return [f"DELETE FROM {table}" for (table,) in cursor.fetchall()]


SERVER = str(Path(server.__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _whoever_writes_under_a_seal_seals():
    """``save`` seals; what else the server writes into a sealed column must bring the seal along, or nobody believes the row."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("update", "bulk_create", "bulk_update"):
            patch.setattr(QuerySet, name, _held(getattr(QuerySet, name)))
        yield


def _held(method):
    def writing(rows, *args, **values):
        if issubclass(rows.model, SealedRow | ContactCode) and _caller().startswith(SERVER):
            columns = {*values} if method.__name__ == "update" else {"mac"}
            assert "mac" in columns or not columns & {*rows.model.SEALED}, f"{columns} of {rows.model.__name__} without a seal"
            assert all(row.mac for row in (args[0] if args else ())), f"{rows.model.__name__} without a seal"
        return method(rows, *args, **values)

    return wraps(method)(writing)


def _caller() -> str:
    """The file of who asked Django to write."""
    frame = sys._getframe(2)
    while "/django/db/" in frame.f_code.co_filename and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename


HERE = Path(__file__).parent
DIFFERS = frozenset(
    {
        # rows that wait for each other, and who wins: also every test that commits, wherever it is
        "login",
        "sessions/test_new_cookies.py",
        "sessions/test_proofs.py",
        "sessions/test_session_cookie.py",
        "locks/test_consent.py",
        "locks/test_claims.py",
        "imports/test_import_pages.py",
        "outbox",
        "providers/test_lock_order.py",
        # constraints, and what a refused row is called
        "accounts/test_account_commands.py",
        "locks/test_renewal.py",
        "providers/test_anchors.py",
        "providers/test_crl_signers.py",
        # bytes, times and JSON that are sealed as they come back from the database
        "accounts/test_operators.py",
        "locks/test_changed_rows_found.py",
        "locks/test_rows_under_seal.py",
        "locks/test_sealing_all_rows.py",
        "audit/test_archive.py",
        "audit/test_audit_trail.py",
        "audit/test_decision_evidence.py",
        "providers/test_put_back.py",
        "providers/test_sealing.py",
        "revocation/test_store.py",
        # queries that are written for it: ranges, order, plans
        "console/test_exports.py",
        "console/test_lookups.py",
        "console/test_scale.py",
        "tools/test_prepared.py",
        # how a connection ends
        "serve/test_database_limits.py",
    }
)
"""Folders and modules whose subject the two databases may treat differently; ``make test`` runs these on PostgreSQL too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = kept.in_order(items)
    for item in items:
        if item.path.is_relative_to(HERE) and (kept.commits(item) or _differs(item.path)):
            item.add_marker(pytest.mark.postgresql)


@cache
def _differs(module: Path) -> bool:
    place = module.relative_to(HERE)
    return not DIFFERS.isdisjoint({str(place), place.parts[0]})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    kept.make_room(item)


kept_lock_world = kept.kept(partial(make_lock_world, "SM2", "EC", "RSA"))


@pytest.fixture
def lock_world(kept_lock_world, db, monkeypatch) -> LockWorld:
    """People, an SM2, an RSA and a P-256 CA; its revocation data is given directly (the store has its own tests)."""
    return _with_evidence(kept_lock_world(), monkeypatch)


@pytest.fixture
def committed_lock_world(transactional_db, monkeypatch) -> LockWorld:
    """The same, committed, with an SM2 and a P-256 CA: for several connections at once."""
    return _with_evidence(make_lock_world("SM2", "EC"), monkeypatch)


def _with_evidence(world: LockWorld, monkeypatch: pytest.MonkeyPatch) -> LockWorld:
    world.evidence()  # once, not in every thread
    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(world.evidence()))
    monkeypatch.setattr(predecessors, "current_evidence", world.evidence)
    return world
