"""Nothing waits for the database without end: not a start, not a connection, not a statement, not a lock."""

from __future__ import annotations

import subprocess

import pytest
from django.db import InternalError, OperationalError, connection, connections
from django.db.backends.signals import connection_created
from serving import calock, free_port

from calock.server.process.database import settings_of
from calock.server.tools.outages import is_outage
from calock.server.tools.statement_limits import bound_statements


def test_every_wait_for_a_connection_has_a_limit_and_the_address_may_set_another():
    options = settings_of("postgresql://u:p@db.example/calock", 10)["OPTIONS"]
    assert (options["connect_timeout"], options["tcp_user_timeout"], options["keepalives_idle"]) == (5, 10_000, 30)
    own = settings_of("postgresql://u:p@db.example/calock?connect_timeout=3&sslmode=verify-full", 10)["OPTIONS"]
    assert (str(own["connect_timeout"]), own["sslmode"]) == ("3", "verify-full")
    assert settings_of("sqlite:////tmp/x.sqlite3", 7)["OPTIONS"]["timeout"] == 7


@pytest.fixture
def one_second():
    """Connections of this test get the limits that a server process with CALOCK_DATABASE_SECONDS=1 has."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one limit, the busy time-out")
    bound_statements(1)
    connections.close_all()
    yield
    connection_created.disconnect(dispatch_uid="calock.bound_statements")
    connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_takes_too_long_ends_as_a_database_that_is_away(one_second):
    with pytest.raises(OperationalError) as ended, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(30)")
    assert is_outage(ended.value)


@pytest.mark.django_db(transaction=True)
def test_a_lock_that_another_holds_is_waited_for_half_as_long(one_second):
    other = connection.copy()
    with other.cursor() as theirs, other.wrap_database_errors:
        theirs.execute("BEGIN")
        theirs.execute("LOCK TABLE challenges_spentchallenge IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(OperationalError, match="lock timeout") as ended, connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM challenges_spentchallenge")
        theirs.execute("ROLLBACK")
    other.close()
    assert is_outage(ended.value)


@pytest.mark.django_db(transaction=True)
def test_a_standby_that_has_not_taken_over_is_a_database_that_is_away():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no standby")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        with pytest.raises(InternalError) as ended:
            cursor.execute("CREATE TABLE x (y int)")
        cursor.execute("SET default_transaction_read_only = off")
    assert is_outage(ended.value)
    assert not is_outage(InternalError("something else"))


def started_without_database(tmp_path, seconds: int) -> subprocess.CompletedProcess[str]:
    url = f"postgresql://u:secret@127.0.0.1:{free_port()}/calock"
    return calock(tmp_path, "serve", "--port", str(free_port()), "--no-jobs", DATABASE_URL=url, CALOCK_DATABASE_WAIT=str(seconds))


def test_a_start_waits_for_the_database_and_says_so(tmp_path):
    done = started_without_database(tmp_path, 2)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert len(lines) >= 3
    assert all("waiting for the database" in line for line in lines[:-1]), done.stderr
    assert lines[-1].startswith("calock serve: not started: the database cannot be used")
    assert "secret" not in done.stderr


def test_a_start_need_not_wait(tmp_path):
    done = started_without_database(tmp_path, 0)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
