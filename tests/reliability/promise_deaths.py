"""What dies comes back, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import ledger
from machines import ask, wait_until
from promises import Counts, promise, require
from visitors import Crowd, Visitor

if TYPE_CHECKING:
    from field import Field
    from machines import Replica


class Logins:
    """People who log in again and again, each in a browser of their own; ``cookies`` are those of every acknowledged login."""

    def __init__(self, field: Field, port: Callable[[], int], threads: int, pause: float = 0.1) -> None:
        self.cookies: list[str] = []
        self.crowd = Crowd([lambda n=n: self._one(field, n, port()) for n in range(threads)], pause)

    def _one(self, field: Field, number: int, port: int) -> str:
        visitor = Visitor(port, ip=f"198.51.100.{number}")
        reply = visitor.log_in(field.people[number].lock)
        if reply.status == 200:
            self.cookies.append(visitor.cookies["calock"])
        return reply.reason

    def wait_for_more(self, count: int = 1) -> float:
        """How long it took until so many more logins were acknowledged."""
        wanted = len(self.cookies) + count
        return wait_until(lambda: len(self.cookies) >= wanted, "logins")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@promise("R4", "what is killed comes back, server process or background process; 99 % of the requests succeed")
def killed_processes(field: Field, rng: random.Random) -> Counts:
    machines = [field.replica() for _ in range(2)]
    balancer = field.balancer(*machines)
    logins = Logins(field, lambda: balancer.port, 4)
    kills = field.size(20, 3)
    for _ in range(kills):
        kill(rng.choice(_workers(machines)))
        time.sleep(2)
    outcomes = logins.crowd.stop()
    requests = outcomes.total() + outcomes["200"]  # a login is two, the challenge and the answer
    failed = outcomes.total() - outcomes["200"]
    good = 100 * (1 - failed / requests)
    require(all(machine.is_alive() for machine in machines), "a server ended")
    require(good >= 99, f"{good:.1f} % of {requests} requests: {dict(outcomes)}")
    jobs = machines[0].children(jobs=True)
    kill(jobs[0])
    back = wait_until(lambda: set(machines[0].children(jobs=True)) - set(jobs), "a new background process")
    left = machines[0].children() + machines[0].children(jobs=True)
    machines[0].stop(signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "the end of a killed server's children", 10)
    held = ledger.require_whole(field, logins.cookies)
    return {
        "kills": kills, "requests": requests, "failed": failed, "succeeded %": round(good, 2), "lost": 0, "orphans": 0,
        "kept": held, "background process back after s": round(back, 1),
    }  # fmt: skip


def _workers(machines: list[Replica]) -> list[int]:
    found: list[int] = []
    wait_until(lambda: found.extend(pid for machine in machines for pid in machine.children()) or found, "server processes")
    return found


@promise("R5", "a killed PostgreSQL loses no acknowledged login; meanwhile people are told 503, never 500")
def killed_database(field: Field, rng: random.Random) -> Counts:
    postgres = field.postgres
    assert postgres
    machines = [field.replica() for _ in range(2)]
    logins = Logins(field, lambda: rng.choice(machines).port, 4)
    kills = field.size(3, 1)
    first = 0.0
    for _ in range(kills):
        logins.wait_for_more(20)
        postgres.kill()
        time.sleep(3)
        postgres.start()
        first = max(first, logins.wait_for_more())
    logins.wait_for_more(20)
    outcomes = logins.crowd.stop()
    require(set(outcomes) <= {"200", "DATABASE_UNAVAILABLE", "SERVER_BUSY"}, dict(outcomes))
    held = ledger.require_whole(field, logins.cookies)
    away = outcomes.total() - outcomes["200"]
    return {"kills": kills, "kept": held, "lost": 0, "orphans": 0, "503": away, "500": 0, "first login after s": round(first, 1)}


@promise("R6", "connections and statements cut off at any moment leave no session without its row of the trail")
def cut_connections(field: Field, rng: random.Random) -> Counts:
    postgres = field.postgres
    assert postgres
    machine = field.replica()
    logins = Logins(field, lambda: machine.port, 6, 0.0)
    cuts: Counter[str] = Counter()
    ends = time.monotonic() + field.size(30, 4)
    with postgres.connect() as connection:
        while time.monotonic() < ends:
            how = rng.choice(["pg_terminate_backend", "pg_cancel_backend"])
            cut = connection.execute(
                f"SELECT count({how}(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                f"AND backend_type = 'client backend' AND (state <> 'idle' OR random() < 0.1) ORDER BY random() LIMIT 2) found"
            ).fetchone()
            cuts[how] += cut[0] if cut else 0
            time.sleep(rng.uniform(0.02, 0.2))
    logins.wait_for_more(10)
    outcomes = logins.crowd.stop()
    require("500" not in outcomes, dict(outcomes))
    held = ledger.require_whole(field, logins.cookies)
    return {**cuts, "kept": held, "lost": 0, "orphans": 0, "told to come again": outcomes.total() - outcomes["200"]}


@promise("R4s", "the same on SQLite: the whole server killed again and again loses nothing", database="sqlite")
def killed_server_on_sqlite(field: Field, rng: random.Random) -> Counts:
    machine = field.replica()
    logins = Logins(field, lambda: machine.port, 4)
    kills = field.size(5, 1)
    for _ in range(kills):
        logins.wait_for_more(20)
        time.sleep(rng.uniform(0, 0.5))
        children = machine.children() + machine.children(jobs=True)
        machine.stop(signal.SIGKILL)
        wait_until(lambda children=children: not any(Path(f"/proc/{pid}").exists() for pid in children), "the end of the children")
        machine.start()
        machine.wait("/healthz")
    logins.wait_for_more(20)
    logins.crowd.stop()
    with closing(sqlite3.connect(field.place / "calock.sqlite3")) as connection:
        require(connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "PRAGMA integrity_check")
    return {"kills": kills, "kept": ledger.require_whole(field, logins.cookies), "lost": 0, "orphans": 0, "integrity_check": "ok"}


@promise("R10", "PostgreSQL's standby takes over by hand: no acknowledged login is lost")
def fail_over(field: Field, rng: random.Random) -> Counts:
    postgres = field.postgres
    assert postgres
    standby = postgres.standby(field.place / "standby")
    try:
        door = field.database_balancer(postgres.port, standby.port)
        machine = field.replica(DATABASE_URL=f"postgresql://calock@127.0.0.1:{door.port}/postgres")
        logins = Logins(field, lambda: machine.port, 4)
        logins.wait_for_more(field.size(200, 20))
        postgres.kill()
        time.sleep(3)
        standby.promote()
        first = logins.wait_for_more()
        logins.wait_for_more(20)
        outcomes = logins.crowd.stop()
        require(set(outcomes) <= {"200", "DATABASE_UNAVAILABLE", "SERVER_BUSY"}, dict(outcomes))
        field.clear()
        field.postgres = standby
        held = ledger.require_whole(field, logins.cookies)
        away = outcomes.total() - outcomes["200"]
        return {"kept": held, "lost": 0, "orphans": 0, "503": away, "500": 0, "first login after s": round(first, 1)}
    finally:
        field.clear()
        field.postgres = postgres
        standby.stop()
        postgres.start()
        postgres.wait_for_standby("")


@promise("R23", "a rolling restart behind a balancer that asks /readyz turns nobody away")
def rolling_restart(field: Field, rng: random.Random) -> Counts:
    machines = [field.replica(CALOCK_DRAIN_SECONDS="3") for _ in range(2)]
    balancer = field.balancer(*machines, probe="/readyz")
    logins = Logins(field, lambda: balancer.port, 4)
    for machine in machines:
        logins.wait_for_more(10)
        require(machine.stop() == 0, "the status of a server that was told to end")
        machine.start()
        machine.wait("/readyz")
        wait_until(lambda: ask(balancer.port, "/healthz")[0] == 200, "the balancer")
        time.sleep(2)
    outcomes = logins.crowd.stop()
    require(set(outcomes) == {"200"}, dict(outcomes))
    return {"restarts": len(machines), "logins": outcomes.total(), "failed": 0, "kept": ledger.require_whole(field, logins.cookies)}
