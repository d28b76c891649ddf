# ruff: noqa: E402 - the path comes first
"""What a CA login costs on a platform with ten million locks beside one with ten thousand.

Run: ``python bench/locks.py [--locks 10000 10000000] [--logins N] [--rounds N]``. Two databases of one PostgreSQL and a server
process for each, over HTTP in turns: CPU of the server and of the database. Before each turn other locks are looked up until the
database's own memory holds no page of those that log in, each of them once. Ten million take some 20 GB of disk and half an hour.
"""

from __future__ import annotations

import sys
import time
from functools import partial

import psycopg
from measuring import LARGE, SMALL, Cost, Goals, Logins, chosen, database, machine_without_jobs, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field
from worlds.crowd import locks

GOAL = 1.15
STRANGERS = 20_000


def fill(url: str, count: int) -> None:
    """Put so many locks into a database; what it took is printed."""
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, locks(count).split(";\n")):
            connection.execute(statement.encode())
        size = connection.execute("SELECT pg_size_pretty(pg_database_size(current_database()))").fetchone()
    assert size
    print(f"{count} locks: {size[0]}, filled in {time.monotonic() - began:.0f} s", flush=True)


def prepare(field: Field) -> None:
    """PostgreSQL as for a load of this size: no vacuum of its own takes a turn, and the log of what was filled is short."""
    assert field.postgres
    settings = {"autovacuum": "off", "max_wal_size": "16GB", "checkpoint_timeout": "1h", "synchronous_commit": "off"}
    with field.postgres.connect() as connection:
        for name, value in settings.items():
            connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")


def strangers(url: str, count: int) -> None:
    """Look other people's locks up, as their logins do, all over the tables."""
    statement = f"""
        SELECT count(a.id) FROM (SELECT 1 + (random() * {count - 1})::bigint AS n FROM generate_series(1, {STRANGERS}) OFFSET 0) x
        CROSS JOIN LATERAL (SELECT * FROM locks_lockcertificate WHERE serial = md5('s' || x.n) OFFSET 0) c
        CROSS JOIN LATERAL (SELECT * FROM locks_binding WHERE lock_id = c.lock_id AND unbound_at IS NULL OFFSET 0) b
        CROSS JOIN LATERAL (SELECT * FROM accounts_account WHERE id = b.account_id OFFSET 0) a
    """
    with psycopg.connect(url) as connection:
        found = connection.execute(statement.encode()).fetchone()
    assert found
    assert found[0] == STRANGERS, found


def cost_after(url: str, locks: int, cost: Cost, count: int) -> float:
    strangers(url, locks)
    return cost.of(count)


def main() -> int:
    asked = chosen(locks=[10_000, 10_000_000], logins=200, rounds=9)
    field, goals = Field("postgresql"), Goals()
    assert field.postgres
    try:
        prepare(field)
        people = [*field.people, *(field.spare_person() for _ in range(asked.logins - len(field.people)))]
        urls = {SMALL: field.url, LARGE: field.copied_database(LARGE)}
        acts = {}
        for (name, url), count in zip(urls.items(), asked.locks, strict=True):
            fill(url, count)
            machine = machine_without_jobs(field, DATABASE_URL=url)
            logins = Logins(machine.port, people)
            logins.run(asked.logins)
            acts[name] = partial(cost_after, url, count, Cost([machine.children, database(field)], logins.run), asked.logins)
        with field.postgres.connect() as connection:
            connection.execute("CHECKPOINT")
        found = turns(acts, asked.rounds)
    finally:
        field.close()
    reached = ratio(found[LARGE], found[SMALL])
    print(f"CPU ms of challenge + login, P-256, server and PostgreSQL, {asked.rounds} x {asked.logins} in turns")
    print(f"{asked.locks[0]} locks: best {min(found[SMALL]):.2f} ms; {asked.locks[1]} locks: best {min(found[LARGE]):.2f} ms")
    print(f"ratio {reached:.3f}   {goals.at_most(reached, GOAL)}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
