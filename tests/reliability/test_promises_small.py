"""A few promises on real processes, small, in the ordinary suite; ``make reliability`` tries all of them at full size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_promises_hold_on_real_processes():
    """R1 and the chapter on restoring on a PostgreSQL of their own; R4s kills a whole server on SQLite."""
    script = Path(__file__).with_name("run.py")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "DJANGO_"))}
    command = [sys.executable, str(script), "R14", "R1", "R4s", "--small"]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if ": held: " in line]
    assert (done.returncode, len(told)) == (0, 3), done.stdout + done.stderr[-5000:]
