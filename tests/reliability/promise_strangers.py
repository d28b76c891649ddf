"""Nobody's unfinished bodies, wrong passwords or slow database keep others from logging in."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING

from machines import wait_until
from promises import Counts, promise, require
from visitors import CSRF, Visitor

if TYPE_CHECKING:
    from field import Field


@promise("A100", "unfinished bodies cost no login and no probe")
def unfinished_bodies(field: Field, rng: random.Random) -> Counts:
    machine = field.replica("--workers", "1")
    host = Visitor(machine.port).origin.removeprefix("http://")
    head = (
        f"POST /api/challenge HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: csrftoken={CSRF}\r\n"
        f"X-CSRFToken: {CSRF}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{"
    )
    sockets = [socket.create_connection(("127.0.0.1", machine.port)) for _ in range(field.size(200, 40))]
    try:
        for one in sockets:
            one.sendall(head.encode())
        replies = Counter(Visitor(machine.port).log_in(rng.choice(field.people).lock).reason for _ in range(10))
        require(set(replies) == {"200"}, dict(replies))
        probes = [machine.ask(path)[0] for path in ("/healthz", "/readyz") for _ in range(5)]
        require(set(probes[:5]) == {200} and 0 not in probes, probes)  # what /readyz says may be another trouble; it answers
    finally:
        for one in sockets:
            one.close()
    return {"unfinished bodies": len(sockets), "logins": replies["200"], "probes": len(probes), "failed": 0}


@promise("R18", "wrong passwords and bad answers, also from one's own address, keep nobody out who has a lock or a known browser")
def strangers_tries(field: Field, rng: random.Random) -> Counts:
    machines = [field.replica() for _ in range(2)]
    person = rng.choice(field.people)
    own = "198.51.100.77"
    known = Visitor(machines[0].port, ip=own)
    require(known.log_in_by_password(person.username, person.password).status == 302, "the first login")
    known.cookies.pop("calock")
    judged: Counter[int] = Counter()
    tries = field.size(400, 70)
    for number in range(tries):
        stranger = Visitor(rng.choice(machines).port, ip=f"203.0.113.{number % 40}")
        judged[stranger.log_in_by_password(person.username, "wrong-wrong-wrong").status] += 1
    require(judged[401] <= 50, dict(judged))
    rubbish: Counter[str] = Counter()
    for number in range(field.size(150, 70)):
        rubbish[Visitor(machines[number % 2].port, ip=own).post("/api/login", {"challenge": f"x{number}", "token": {}}).reason] += 1
    for machine in machines:
        require(Visitor(machine.port, ip=own).log_in(person.lock).status == 200, "the lock's login")
        again = known.at(machine.port)
        again.cookies = {name: value for name, value in known.cookies.items() if name != "calock"}
        require(again.log_in_by_password(person.username, person.password).status == 302, "the right password in a known browser")
    stranger = Visitor(machines[0].port, ip="203.0.113.200")
    told = stranger.log_in_by_password(person.username, person.password)
    require(told.status == 429 and "CA 锁" in told.body.decode(), told.status)
    return {"wrong passwords": tries, "judged": judged[401], "bad answers": rubbish.total(), "lock and known browser": "in"}


@promise("R24", "logins that wait for the database keep no probe and no page from anybody")
def slow_database(field: Field, rng: random.Random) -> Counts:
    postgres = field.postgres
    assert postgres
    machines = [field.replica() for _ in range(2)]
    visitors = [Visitor(machines[number % 2].port, ip=f"198.51.100.{number}", timeout=60) for number in range(24)]
    bodies = [visitor.answer(visitor.challenge().json["challenge"], rng.choice(field.people).lock) for visitor in visitors]
    replies: list[str] = []
    threads = [
        threading.Thread(target=lambda v=v, b=b: replies.append(v.post("/api/login", b).reason))
        for v, b in zip(visitors, bodies, strict=True)
    ]
    with postgres.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE challenges_spentchallenge IN ACCESS EXCLUSIVE MODE")
        for thread in threads:
            thread.start()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: postgres.ask(waiting)[0][0] >= 4, "logins that wait in the database")
        seen: Counter[int] = Counter()
        for machine in machines:
            for path in ("/healthz", "/login/") * 5:
                seen[machine.ask(path, timeout=5)[0]] += 1
        require(set(seen) == {200}, dict(seen))
        connection.execute("COMMIT")
    for thread in threads:
        thread.join(60)
    outcomes = Counter(replies)
    require(set(outcomes) <= {"200", "SERVER_BUSY", "DATABASE_UNAVAILABLE"}, dict(outcomes))
    later = Visitor(machines[0].port).log_in(rng.choice(field.people).lock)
    require(later.status == 200, later.reason)
    return {
        "logins waiting": len(visitors),
        "probes and pages answered": seen.total(),
        **{f"`{k}`": n for k, n in outcomes.items()},
    }
