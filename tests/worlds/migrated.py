"""A migrated SQLite database, made anew when the server's code changed: migrating takes three seconds, a copy a moment."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import django
from serving import calock

from calock import server

KEPT = Path(__file__).resolve().parents[2] / "build" / "migrated"


def put(path: str | Path) -> None:
    """Copy one to ``path``."""
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
