"""``make reliability``: try the promises on real processes, print what was counted, and write docs/reliability.md.

Run: ``python tests/reliability/run.py [CODE …] [--seed N]``; without codes all of them. Nothing is timed but what a promise says.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import random
import re
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from field import Field  # noqa: E402 - the path comes first
from promises import PROMISES, Promise  # noqa: E402

REPORT = ROOT / "docs" / "reliability.md"
ROW = re.compile(r"^\| (?P<code>[A-Z]+[0-9]+[a-z]?) \|.*$", re.MULTILINE)
HEAD = """# Reliability: what was promised, tried, and counted

Written by `make reliability` (tests/reliability/run.py): real processes on one computer, each row one run. Counts are facts of that
run; seconds are of a shared computer and mean their order of magnitude.

| promise | what it says | verdict | counted | seed | on |
|---|---|---|---|---|---|
"""


def _modules() -> None:
    for path in sorted(HERE.glob("promise_*.py")):
        importlib.import_module(path.stem)


def _try(promise: Promise, field: Field, seed: int) -> tuple[bool, str]:
    began = time.monotonic()
    try:
        counts = promise.attempt(field, random.Random(seed))
    except Exception as error:  # noqa: BLE001 - whatever it was, the promise was not kept
        traceback.print_exc()
        text = " ".join(str(error).split())[:200].replace("|", "/")
        return False, f"{type(error).__name__}: {text}"
    finally:
        field.clear()
    told = ", ".join(f"{name} {value}" for name, value in counts.items())
    return True, f"{told}; {time.monotonic() - began:.0f} s"


def _write(rows: dict[str, str]) -> None:
    kept = {match["code"]: match[0] for match in ROW.finditer(REPORT.read_text())} if REPORT.exists() else {}
    known = {code: row for code, row in {**kept, **rows}.items() if code in PROMISES}
    REPORT.write_text(HEAD + "".join(f"{known[code]}\n" for code in PROMISES if code in known))


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    _modules()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", nargs="*", choices=[*PROMISES, []], metavar="CODE", help=", ".join(PROMISES))
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    parser.add_argument("--no-report", action="store_true", help="print only")
    parser.add_argument("--small", action="store_true", help="as the ordinary test suite does it; nothing is reported")
    chosen = parser.parse_args()
    wanted = [PROMISES[code] for code in chosen.codes or PROMISES]
    rows: dict[str, str] = {}
    broken = 0
    for database in dict.fromkeys(promise.database for promise in wanted):
        mine = [promise for promise in wanted if promise.database == database]
        if os.environ.get("CALOCK_RELIABILITY_CHILD") != database:
            # Django is set up once in a process, for one database
            status = _child(database, [promise.code for promise in mine], chosen)
            broken += status != 0
            continue
        field = Field(database, small=chosen.small)
        try:
            for promise in mine:
                kept, told = _try(promise, field, chosen.seed)
                broken += not kept
                verdict = "held" if kept else "**broken**"
                print(f"{promise.code}: {verdict}: {told} (seed {chosen.seed})", flush=True)
                day = datetime.now(UTC).date()
                where = f"{day}, {database}, {os.cpu_count()} cores, Python {platform.python_version()}"
                rows[promise.code] = f"| {promise.code} | {promise.says} | {verdict} | {told} | {chosen.seed} | {where} |"
        finally:
            field.close()
    if rows and not chosen.no_report and not chosen.small:
        _write(rows)
    return 1 if broken else 0


def _child(database: str, codes: list[str], chosen: argparse.Namespace) -> int:
    import subprocess

    more = [flag for flag, given in (("--no-report", chosen.no_report), ("--small", chosen.small)) if given]
    command = [sys.executable, __file__, *codes, "--seed", str(chosen.seed), *more]
    return subprocess.run(command, env={**os.environ, "CALOCK_RELIABILITY_CHILD": database}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
