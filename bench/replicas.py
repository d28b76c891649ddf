# ruff: noqa: E402 - the path comes first
"""How much more two machines of one platform get done than one: CPU of a login with each, and who waits for whom.

Run: ``python bench/replicas.py [--logins N] [--rounds N]``. One server process, then two on data folders of their own, before one
PostgreSQL; the same people, eight at once, in turns. Browsers and database share the computer with the servers, so logins a second
say little here and are only printed. What counts is CPU: if a login by way of two machines costs what it costs by way of one, two
cores do twice as much, unless they wait for each other's locks in the database; how many of its sessions did is counted as well.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median

from measuring import Cost, Goals, Logins, chosen, database, machine_without_jobs, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field

GOAL = 1.8
AT_ONCE = 8
WAITING = """
SELECT count(*) FILTER (WHERE wait_event_type IN ('Lock', 'LWLock', 'BufferPin')), count(*) FROM pg_stat_activity
WHERE state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


class Setting:
    """Machines, the people who log in at them, and what was seen of each turn."""

    def __init__(self, field: Field, logins: list[Logins], servers: list[int]) -> None:
        self._field, self._logins = field, logins
        self._pool = ThreadPoolExecutor(len(logins))
        self._cost = Cost([lambda: servers, database(field)], self.run)
        self.speeds: list[float] = []
        self.waiting = self.seen = 0

    def run(self, count: int) -> None:
        for done in [self._pool.submit(one.run, count // len(self._logins)) for one in self._logins]:
            done.result()

    def cost(self, count: int) -> float:
        """CPU milliseconds of one login."""
        over = threading.Event()
        watch = threading.Thread(target=self._look, args=(over,))
        watch.start()
        began = time.monotonic()
        spent = self._cost.of(count)
        self.speeds.append(count / (time.monotonic() - began))
        over.set()
        watch.join()
        return spent

    def medians(self) -> list[float]:
        """CPU milliseconds of the servers and of the database."""
        return self._cost.medians()

    def _look(self, over: threading.Event) -> None:
        assert self._field.postgres
        with self._field.postgres.connect() as connection:
            while not over.wait(0.05):
                waiting, seen = connection.execute(WAITING).fetchall()[0]
                self.waiting, self.seen = self.waiting + waiting, self.seen + seen


def main() -> int:
    asked = chosen(logins=400, rounds=7)
    field, goals = Field("postgresql"), Goals()
    people = field.people[:AT_ONCE]
    other = field.place / "other"
    shutil.copytree(field.place / "harness", other)
    try:
        first, second = machine_without_jobs(field), machine_without_jobs(field, CALOCK_DATA=str(other))
        halves = [
            Logins(machine.port, half) for machine, half in ((first, people[: AT_ONCE // 2]), (second, people[AT_ONCE // 2 :]))
        ]
        settings = {
            "one": Setting(field, [Logins(first.port, people, AT_ONCE)], first.children()),
            "two": Setting(field, halves, [*first.children(), *second.children()]),
        }
        for setting in settings.values():
            setting.run(200)
        found = turns({name: partial(setting.cost, asked.logins) for name, setting in settings.items()}, asked.rounds)
    finally:
        field.close()
    print(f"CPU ms of challenge + login, P-256, {AT_ONCE} people at once, {asked.rounds} x {asked.logins} in turns")
    for name, setting in settings.items():
        servers, postgresql = setting.medians()
        done = f"{median(setting.speeds):.0f} logins a second"
        print(f"{name:<4} medians: servers {servers:.2f} + PostgreSQL {postgresql:.2f} ms; {done}")
        print(f"     in the database {setting.waiting} of {setting.seen} busy sessions waited for another")
    reached = 2 * ratio(found["one"], found["two"])
    print(f"two machines on two cores / one on one, by CPU: {reached:.2f}   {goals.at_least(reached, GOAL)}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
