"""What is done to the rows of the trail behind the server is named; what people do with locks is as a plain model says."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promises import Counts, promise, require

if TYPE_CHECKING:
    from field import Field

ROOT = Path(__file__).parents[2]
DONE = re.compile(r"(\d+) sequences, (\d+) acts, (\d+) differences")


@contextmanager
def taken_back() -> Iterator[None]:
    """What is done to the database inside is undone afterwards."""
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def execute(statement: str, *values: object) -> None:
    """Past the application, which only appends."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def named() -> set[int]:
    """Ids of the rows that ``verify_audit`` names."""
    from calock.server.audit.verification import verify_audit

    return {finding.row for finding in verify_audit().findings if finding.row is not None}


@promise(
    "R7",
    "every row that is changed, deleted or swapped is named, and no other; a tail cut off with its seal is told",
    database="sqlite",
)
def tampering_is_named(field: Field, rng: random.Random) -> Counts:
    from django.db.models import Max
    from django.utils import timezone

    from calock.server.audit import verification
    from calock.server.audit.events import Event
    from calock.server.audit.models import AuditEvent, AuditSeal
    from calock.server.audit.sealing import seal_audit
    from calock.server.audit.services import record

    verification.TOLD = 100_000  # type: ignore[misc]  # all of them, not the first ones
    for number in range(field.size(1000, 100)):
        record(Event.LOGIN_CA_SUCCEEDED, details={"n": number})
    seal_audit(at=timezone.now())
    rows: Any = AuditEvent.objects
    everything = list(rows.order_by("pk").values_list("pk", flat=True))
    require(not verification.verify_audit().findings, "a trail that nobody touched")
    counts: Counts = {"rows": len(everything)}
    for column, value in (("ip", "192.0.2.99"), ("reason", "x"), ("event", "login:password:succeeded"), ("user_agent", "x")):
        with taken_back():
            execute(f"UPDATE audit_auditevent SET {column} = %s", value)
            require(named() == set(everything), f"{column}: {len(named())} of {len(everything)} changed rows are named")
        counts["changed and named"] = int(counts.get("changed and named", 0)) + len(everything)
    some = set(rng.sample(everything, len(everything) // 3))
    with taken_back():
        rows.filter(pk__in=some)._raw_delete("default")
        require(named() == some, f"{len(named())} of {len(some)} deleted rows are named")
    counts["deleted and named"] = len(some)
    swaps = rng.sample(everything, 2 * (len(everything) // 10))
    with taken_back():
        for one, other in zip(swaps[::2], swaps[1::2], strict=True):
            _swap(one, other)
        require(named() == set(swaps), f"{len(named())} of {len(swaps)} swapped rows are named")
    counts["swapped and named"] = len(swaps)
    last = AuditSeal.objects.aggregate(last=Max("seq"))["last"]
    with taken_back():
        seal = AuditSeal.objects.get(seq=last)
        rows.filter(pk__gte=seal.first_id)._raw_delete("default")
        AuditSeal.objects.filter(seq=last).delete()
        told = [str(finding) for finding in verification.verify_audit().findings]
        require(any(f"seal {last} " in text and "gone from the database" in text for text in told), told)
    counts["tails cut off and told"] = 1
    return counts


def _swap(one: int, other: int) -> None:
    """Two rows change places: each under the other's id."""
    aside = -1
    for before, after in ((one, aside), (other, one), (aside, other)):
        execute("UPDATE audit_auditevent SET id = %s WHERE id = %s", after, before)


@promise("R3", "whatever people do with locks and bindings, server and rows are as a plain model says", database="sqlite")
def bindings_are_as_the_model_says(field: Field, rng: random.Random) -> Counts:
    """As many processes as there are processors, each with a seed of its own."""
    sequences, shares = field.size(10_000, 20), os.cpu_count() or 1
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CALOCK_", "DATABASE_", "DJANGO_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "tests/server/locks/test_binding_model.py"]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env={**kept, "CALOCK_SEQUENCES": str(-(-sequences // shares)), "CALOCK_SEED": str(rng.randrange(1 << 31))},
        )
        for _ in range(shares)
    ]  # fmt: skip
    told = [process.communicate()[0] for process in running]
    found = [DONE.search(text) for text in told]
    require(all(found) and not any(process.returncode for process in running), "".join(told)[-2000:])
    sums = [sum(int(match[place]) for match in found if match) for place in (1, 2, 3)]
    return dict(zip(("sequences", "acts", "differences"), sums, strict=True))
