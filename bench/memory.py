# ruff: noqa: E402 - the path comes first
"""Whether a server process grows: its memory after ten thousand requests and after a hundred thousand.

Run: ``python bench/memory.py [--requests N]``. One server process, before PostgreSQL; people log in, look around, are refused and
guess wrong names; a tenth of all requests comes before the first figure.
"""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from measuring import PEOPLE, Goals, chosen, resident, use_this_checkout

use_this_checkout()
from field import Field
from machines import Replica
from visitors import Visitor

GOAL = 1.05
PARTS = 10
PAGES = ("/apps/", "/system/ca/", "/sessions/", "/login/", "/nothing/here/")


def look(visitor: Visitor, chance: random.Random) -> None:
    """One request: mostly a challenge or a page that is not there, which cost little."""
    what = chance.randrange(12)
    if what < 6:
        visitor.challenge()
    elif what < 10:
        visitor.get(f"/{chance.random()}")
    elif what == 10:
        visitor.get(chance.choice(PAGES))
    else:
        visitor.post("/api/login", {"challenge": f"x{chance.random()}", "token": {}})


def visit(machine: Replica, person: Any, requests: int, seed: int) -> None:
    """So many requests of one person, from ever new browsers and addresses."""
    chance = random.Random(seed)
    left = requests
    while left > 0:
        visitor = Visitor(machine.port, ip=f"198.51.{chance.randrange(256)}.{chance.randrange(256)}")
        if visitor.log_in(person.lock).status != 200:
            raise SystemExit("a login did not succeed")
        for _ in range(12):
            look(visitor, chance)
        left -= 14


def main() -> int:
    asked = chosen(requests=100_000)
    field, goals = Field("postgresql"), Goals()
    try:
        machine = field.replica("--workers", "1", CALOCK_FAILURES_PER_MINUTE="100000")
        (server,) = machine.children()
        sizes = []
        with ThreadPoolExecutor(PEOPLE) as pool:
            for part in range(PARTS):
                each = asked.requests // PARTS // PEOPLE
                work = [
                    pool.submit(visit, machine, person, each, part * PEOPLE + number)
                    for number, person in enumerate(field.people[:PEOPLE])
                ]
                for done in work:
                    done.result()
                sizes.append(resident(server))
                print(f"{(part + 1) * asked.requests // PARTS:>8} requests: {sizes[-1]:.1f} MiB", flush=True)
        assert machine.children() == [server], "the process was replaced"
    finally:
        field.close()
    grown = sizes[-1] / sizes[0]
    print(f"after {asked.requests} / after {asked.requests // PARTS} requests: {grown:.3f}   {goals.at_most(grown, GOAL)}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
