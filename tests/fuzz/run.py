"""``make fuzz``: every target, a process for each processor, and a table; then the property tests. Exit status 1 on any finding.

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from fuzz.driver import targets  # noqa: E402 - the path comes first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TARGET")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    environment.setdefault("DJANGO_SETTINGS_MODULE", "settings_for_tests")
    names = [name for name in targets() if not chosen.names or name in chosen.names]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        outcomes = list(pool.map(lambda name: run(name, chosen.runs, chosen.seed, environment), names))
    if not chosen.names:
        outcomes.append(search(chosen.seed, environment))
    return 0 if all(outcomes) else 1


def run(name: str, runs: int, seed: int, environment: dict[str, str]) -> bool:
    """Fuzz one target and say how it went."""
    start = time.monotonic()
    command = [sys.executable, str(HERE / "driver.py"), name, "--runs", str(runs), "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as scratch:  # where libFuzzer leaves what it found; its traceback is printed below
        done = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True, errors="replace", check=False)
    facts = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    inputs, memory = facts.get("number_of_executed_units", "?"), facts.get("peak_rss_mb", "?")
    good = done.returncode == 0
    line = f"{name:<20}{inputs:>10} inputs  {time.monotonic() - start:7.0f} s  peak {memory:>5} MB  {'ok' if good else 'FOUND'}"
    print(line if good else f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}", flush=True)
    return good


def search(seed: int, environment: dict[str, str]) -> bool:
    """Send the suite's property tests searching, which ``make test`` does not: there they try the same examples every time."""
    options = ["-m", "hypothesis", "--hypothesis-profile=search", f"--hypothesis-seed={seed}"]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--disable-warnings", *options]
    return subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
