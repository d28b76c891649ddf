"""A disk that is full loses nothing that was acknowledged, and everything goes on when there is room again."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import ledger
from machines import wait_until
from promise_deaths import Logins
from promises import Counts, promise, require

if TYPE_CHECKING:
    from field import Field
    from machines import Replica

LEFT = 100
"""Octets that filling leaves."""


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, which root may mount."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(place)], check=False)
    require(done.returncode == 0, "a small disk needs root and the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(disk: Path) -> Path:
    """Take all room but a few octets."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1024 * 1024, 4096, LEFT):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    os.truncate(filler, max(0, filler.stat().st_size - LEFT))
    return filler


def manage(machine: Replica, *arguments: str) -> str:
    import sys

    program = str(Path(sys.executable).with_name("calock"))
    done = subprocess.run([program, "manage", *arguments], env=machine.environment, capture_output=True, text=True, check=False)
    require(done.returncode == 0, done.stdout + done.stderr)
    return done.stdout


@promise("R11", "a full disk of a machine keeps nobody out, and what could not be written is written when there is room")
def full_data_directory(field: Field, rng: random.Random) -> Counts:
    with small_disk(field.place / "small-disk", 60) as disk:
        machine = field.replica(wait="/healthz", CALOCK_DATA=str(disk / "data"))
        try:
            wait_until(lambda: not _complaints(machine), "a machine that complains of its small disk alone")
            time.sleep(2)  # each process looks at the CRLs once a second
            logins = Logins(field, lambda: machine.port, 2)
            logins.wait_for_more(10)
            filler = fill(disk)
            full = len(logins.cookies)
            require(b"disk: less than" in machine.ask("/readyz")[1], "/readyz")
            time.sleep(field.size(75, 5))  # a seal is due each minute
            logins.wait_for_more(5)
            meanwhile = len(logins.cookies) - full
            filler.unlink()
            wait_until(lambda: not _complaints(machine), "a machine without complaints, but for its small disk")
            logins.wait_for_more(5)
            outcomes = logins.crowd.stop()
            require(set(outcomes) == {"200"}, dict(outcomes))
            kept = ledger.require_whole(field, logins.cookies)
            manage(machine, "seal_audit")
            told = manage(machine, "verify_audit")
            require("whole: " in told, told)
        finally:
            field.clear()
    return {"logins while full": meanwhile, "kept": kept, "failed": 0, "findings": 0}


def _complaints(machine: Replica) -> list[bytes]:
    return [line for line in machine.ask("/readyz")[1].splitlines() if not line.startswith((b"disk: ", b"ok", b"warning: "))]


@promise("R11s", "SQLite on a full disk: people are told to come again, nothing acknowledged is lost", database="sqlite")
def full_disk_under_sqlite(field: Field, rng: random.Random) -> Counts:
    with small_disk(field.place / "small-disk", 80) as disk:
        copy = disk / "calock.sqlite3"
        with closing(sqlite3.connect(field.place / "calock.sqlite3")) as whole, closing(sqlite3.connect(copy)) as other:
            whole.backup(other)
        machine = field.replica(wait="/healthz", CALOCK_DATA=str(disk / "data"), DATABASE_URL=f"sqlite:///{copy}")
        try:
            wait_until(lambda: not _complaints(machine), "a machine that complains of its small disk alone")
            time.sleep(2)  # each process looks at the CRLs once a second
            logins = Logins(field, lambda: machine.port, 2)
            logins.wait_for_more(10)
            filler = fill(disk)
            time.sleep(field.size(30, 5))
            filler.unlink()
            first = logins.wait_for_more()
            logins.wait_for_more(10)
            outcomes = logins.crowd.stop()
            require("500" not in outcomes, dict(outcomes))
            with closing(sqlite3.connect(copy, timeout=30)) as connection:
                require(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "PRAGMA integrity_check")
                sessions = {str(digest) for (digest,) in connection.execute("SELECT digest FROM calock_sessions_session")}
            lost = ledger.digests(logins.cookies) - sessions
            require(not lost, f"{len(lost)} acknowledged logins are lost")
            manage(machine, "seal_audit")
            require("whole: " in manage(machine, "verify_audit"), "the trail")
        finally:
            field.clear()
    away = outcomes.total() - outcomes["200"]
    return {"kept": len(logins.cookies), "lost": 0, "told to come again": away, "500": 0, "first login after s": round(first, 1)}
