# ruff: noqa: PLC0415 - Django is set up late
"""The audit trail of a big platform: rows written and sealed, all and a part of it verified by the command, with its memory.

  python bench/audit.py [--rows 1000000]

On SQLite in a folder that is thrown away. Seconds are CPU seconds; the memory is the largest of the command's own process.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))
AT_ONCE = 5000


def write(rows: int) -> None:
    from calock.core.refusals import Reason
    from calock.server.audit.canonical import Value
    from calock.server.audit.events import Event
    from calock.server.audit.models import AuditEvent
    from calock.server.audit.services import build

    details: dict[str, Value] = {
        "revocation_leaf": ["crl", "2026-11-28T00:00:00+00:00", "2026-12-05T00:00:00+00:00", "ab" * 32, "good"],
        "ms": 12,
    }
    for start in range(0, rows, AT_ONCE):
        some = (build(Event.LOGIN_CA_REFUSED, reason=Reason.LOCK_NOT_BOUND, details={**details, "n": n}) for n in range(AT_ONCE))
        AuditEvent.objects.bulk_create(list(some)[: rows - start])


def verified(*arguments: str) -> Iterator[str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [Path(sys.executable).with_name("calock"), "manage", "verify_audit", *arguments], check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield f"{after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime:.1f} s"
    yield f"{after.ru_maxrss / 1024:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="calock-bench-") as place:
        os.environ.update(CALOCK_DATA=place, DJANGO_SETTINGS_MODULE="calock.server.process.settings")
        os.environ["PYTHONPATH"] = str(ROOT / "src")
        import django

        django.setup()
        from django.core.management import call_command
        from django.utils import timezone

        from calock.server.audit.models import AuditSeal
        from calock.server.audit.sealing import seal_audit

        call_command("migrate", verbosity=0)
        began = time.process_time()
        write(rows)
        wrote = time.process_time()
        print(f"{rows} rows: written {wrote - began:.1f} s, sealed ", end="", flush=True)
        assert seal_audit(at=timezone.now()) == rows
        seals = AuditSeal.objects.count()
        size = (Path(place) / "calock.sqlite3").stat().st_size
        print(f"{time.process_time() - wrote:.1f} s by {seals} seals, {size / 1e6:.0f} MB", flush=True)
        # the memory of children is that of the largest so far: the smallest goes first
        print("  an empty part, which is the start of the command:", *verified("--since", str(seals + 1)), flush=True)
        print("  the last tenth (--since):", *verified("--since", str(seals - seals // 10)), flush=True)
        print("  all:", *verified(), flush=True)


if __name__ == "__main__":
    main()
