"""``make fuzz``: every target of every ``*_targets.py`` here, one process each, and a table. Exit status 1 on any finding.

``python tests/fuzz/run.py [--runs N] [--seed N] [TARGET …]``
"""

# ruff: noqa: T201 - a script that prints
from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def targets() -> list[tuple[Path, str]]:
    """(script, target) as the scripts' own ``TARGETS`` name them."""
    found = []
    for script in sorted(HERE.glob("*_targets.py")):
        body = script.read_text("utf-8").split("TARGETS: dict", 1)[1].split("= {", 1)[1].split("}", 1)[0]
        found += [(script, name) for name in re.findall(r'"(\w+)":', body)]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    environment.setdefault("DJANGO_SETTINGS_MODULE", "settings_for_tests")
    failures = 0
    for script, name in targets():
        if chosen.names and name not in chosen.names:
            continue
        start = time.monotonic()
        command = [sys.executable, str(script), name, "--runs", str(chosen.runs), "--seed", str(chosen.seed)]
        with tempfile.TemporaryDirectory() as scratch:  # where libFuzzer leaves what it found; its traceback is printed below
            done = subprocess.run(
                command, env=environment, cwd=scratch, capture_output=True, text=True, errors="replace", check=False
            )
        facts = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
        runs, memory = facts.get("number_of_executed_units", "?"), facts.get("peak_rss_mb", "?")
        seconds = time.monotonic() - start
        print(
            f"{name:<16}{runs:>10} inputs  {seconds:7.0f} s  peak {memory:>5} MB  {'ok' if done.returncode == 0 else 'FOUND'}",
            flush=True,
        )
        if done.returncode != 0:
            failures += 1
            print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
