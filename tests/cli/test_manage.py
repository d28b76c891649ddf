"""``calock manage`` as an owner types it: what is theirs to mend is one line, not a traceback."""

from __future__ import annotations

import subprocess

import pytest
from serving import calock

CLOSED = "postgresql://calock:geheim@127.0.0.1:1/calock"


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["register", "check"], ["register", "list"], ["verify_audit"], ["create_account", "yunying01", "运营"],
     ["reset_password", "yunying01"], ["refresh_revocation"]],
)  # fmt: skip
def test_before_there_is_a_database_it_says_how_to_make_one(tmp_path, arguments):
    said = one_line(calock(tmp_path, "manage", *arguments))
    assert said.startswith("calock manage: the database was not made by this version (no such table")
    assert "calock manage migrate" in said


def test_who_wants_the_traceback_gets_it(tmp_path):
    assert "Traceback" in calock(tmp_path, "manage", "verify_audit", "--traceback").stderr


@pytest.mark.parametrize("command", [["serve", "--port", "1"], ["manage", "verify_audit"]])
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://calock:geheim@127.0.0.1/calock", "DATABASE_URL must begin with postgresql:// or sqlite:///"),
        ("geheim", "DATABASE_URL must begin with postgresql:// or sqlite:///"),
        ("postgresql://calock:ge/heim@127.0.0.1/calock", "DATABASE_URL is no address"),
        ("postgresql://calock:geheim@127.0.0.1", "DATABASE_URL names no database"),
        ("sqlite://", "DATABASE_URL names no database"),
        (CLOSED, "the database cannot be used: connection failed"),
        (CLOSED + "?sslmode=always", 'invalid sslmode value: "always"'),
        (CLOSED + "?connect_timeout=soon", "the database cannot be used: bad value for connect_timeout"),
        (CLOSED + "?tls=1", 'the database cannot be used: invalid connection option "tls"'),
        ("sqlite:////nonexistent/calock.sqlite3", "the database cannot be used: unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path, command, url, says):
    waits = "0" if url == CLOSED else "300"  # a database that does not answer yet is waited for; what cannot be right is not
    said = one_line(calock(tmp_path, *command, DATABASE_URL=url, CALOCK_DATABASE_WAIT=waits))
    assert says in said
    assert "heim" not in said


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "calock.sqlite3").write_text("letters to nobody, " * 100)
    assert "the database cannot be used: file is not a database" in one_line(calock(tmp_path, "manage", "verify_audit"))


def test_what_makes_no_sense_in_the_environment_is_named_here_too(tmp_path):
    assert "CALOCK_INSECURE_HTTP must be 0 or 1" in one_line(calock(tmp_path, "manage", "verify_audit", CALOCK_INSECURE_HTTP="yes"))
    (tmp_path / "letters").write_text("mine")
    assert "CALOCK_DATA names" in one_line(calock(tmp_path / "letters" / "data", "manage", "verify_audit"))
    assert "the secret key cannot be read" in one_line(
        calock(tmp_path, "manage", "verify_audit", CALOCK_SECRET_KEY_FILE=str(tmp_path))
    )
