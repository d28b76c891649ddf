"""Hours of ordinary use: no failure, and nothing that grows. ``CALOCK_SOAK_MINUTES`` says how long."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

from machines import Replica
from promises import Counts, promise, require
from visitors import Crowd, Visitor

if TYPE_CHECKING:
    from field import Field

PAGES = ("/apps/", "/system/ca/", "/sessions/")
SETTLED = 0.4
"""After this part of the time caches are full; what grows from then on grows for ever."""


@promise("R20", "people log in and look around for as long as it lasts: nothing fails, and memory, descriptors and threads stay")
def soak(field: Field, rng: random.Random) -> Counts:
    machine = field.replica()
    minutes = field.size(int(os.environ.get("CALOCK_SOAK_MINUTES") or 10), 1)
    crowd = Crowd([lambda n=n: _visit(field, machine, n) for n in range(2)], 0.4)
    settled = _uses(machine)
    began = time.monotonic()
    most = settled
    while (passed := time.monotonic() - began) < minutes * 60:
        time.sleep(5)
        if passed < minutes * 60 * SETTLED:
            settled = _uses(machine)
        most = tuple(map(max, most, _uses(machine)))
    outcomes = crowd.stop()
    require(set(outcomes) == {"200"}, dict(outcomes))
    now = _uses(machine)
    require(now[0] - settled[0] < 24, f"memory grew from {settled[0]} to {now[0]} MB")
    require(now[1] - settled[1] < 40, f"descriptors grew from {settled[1]} to {now[1]}")
    require(now[2] - settled[2] < 8, f"threads grew from {settled[2]} to {now[2]}")
    return {
        "minutes": minutes, "logins with three pages each": outcomes.total(), "failed": 0,
        "memory MB, settled and at the end": f"{settled[0]} {now[0]}", "descriptors": f"{settled[1]} {now[1]}",
        "threads": f"{settled[2]} {now[2]}", "most": f"{most[0]} MB {most[1]} {most[2]}",
    }  # fmt: skip


def _visit(field: Field, machine: Replica, number: int) -> str:
    visitor = Visitor(machine.port, ip=f"198.51.100.{number}")
    reply = visitor.log_in(field.people[number].lock)
    worst = next((page for page in map(visitor.get, PAGES) if page.status != 200), reply) if reply.status == 200 else reply
    return worst.reason


def _uses(machine: Replica) -> tuple[int, int, int]:
    """MB of the largest server process, and descriptors and threads of all."""
    sizes, descriptors, threads = [0], 0, 0
    for pid in machine.children():
        place = Path(f"/proc/{pid}")
        values = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        sizes.append(int(values["VmRSS"].split()[0]) // 1024)
        threads += int(values["Threads"])
        descriptors += len(list((place / "fd").iterdir()))
    return max(sizes), descriptors, threads
