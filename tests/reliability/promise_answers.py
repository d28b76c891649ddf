"""One answer is one login, one lock is one account's, and a wrong clock makes no used answer good again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import ledger
from machines import wait_until
from promises import Counts, promise, require
from visitors import Reply, Visitor

if TYPE_CHECKING:
    from field import Field


def at_once(acts: list[Callable[[], Reply]]) -> Counter[str]:
    """All acts released at one moment; how often each outcome came."""
    gate = threading.Barrier(len(acts))
    seen: list[str] = []

    def run(act: Callable[[], Reply]) -> None:
        gate.wait()
        seen.append(act().reason)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return Counter(seen)


@promise("R1", "one answer is one login, whichever machine it is sent to")
def one_answer_one_login(field: Field, rng: random.Random) -> Counts:
    machines = [field.replica() for _ in range(2)]
    rounds, copies = field.size(30, 3), field.size(50, 10)
    others: Counter[str] = Counter()
    for _ in range(rounds):
        visitor = Visitor(machines[0].port)
        body = visitor.answer(visitor.challenge().json["challenge"], rng.choice(field.people).lock)
        before = ledger.sessions(field)
        at = [visitor.at(machines[number % 2].port) for number in range(copies)]
        for one in at:
            one.cookies = dict(visitor.cookies)
        outcomes = at_once([lambda one=one, body=body: one.post("/api/login", body) for one in at])
        new = len(ledger.sessions(field) - before)
        require((outcomes.pop("200"), new) == (1, 1), f"{new} sessions, {outcomes}")
        others += outcomes
    return {"rounds": rounds, "posts": rounds * copies, "accepted": rounds, **{f"`{reason}`": n for reason, n in others.items()}}


@promise("R2", "one lock is bound to one account, however many ask at once")
def one_lock_one_account(field: Field, rng: random.Random) -> Counts:
    from worlds.practice import make_lock

    machines = [field.replica() for _ in range(2)]
    rounds = field.size(10, 2)
    others: Counter[str] = Counter()
    for number in range(rounds):
        free = f"FREE-{rng.randrange(10**9)}"
        lock = make_lock("EC", number=100 + number, lock_id=free)
        acts = []
        for place, person in enumerate(field.people):
            visitor = Visitor(machines[0].port, ip=f"198.51.{number}.{place}")
            require(visitor.log_in(person.lock).status == 200, "a login before the binding")
            aim = {"member": str(person.account.pk), "provider": lock.family.provider}
            body = {**visitor.answer(visitor.challenge("bind", **aim).json["challenge"], lock), **aim}
            at = visitor.at(machines[place % 2].port)
            acts.append(lambda at=at, body=body: at.post("/api/bindings", body))
        outcomes = at_once(acts)
        live = field.ask(
            "SELECT count(*) FROM locks_binding b JOIN locks_lock l ON l.id = b.lock_id "
            f"WHERE l.lock_id = '{free}' AND b.unbound_at IS NULL"
        )[0][0]
        require((outcomes.pop("200"), live) == (1, 1), f"{live} bindings, {outcomes}")
        others += outcomes
    asked = rounds * len(field.people)
    return {"rounds": rounds, "asked": asked, "bound": rounds, **{f"`{reason}`": n for reason, n in others.items()}}


FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@promise("R12", "a machine whose clock is an hour ahead says so, ends nothing, and makes no used answer good again")
def wrong_clock(field: Field, rng: random.Random) -> Counts:
    require(FAKETIME, "libfaketime is missing: tools/system-packages reliability")
    right = field.replica()
    person = rng.choice(field.people)
    visitor = Visitor(right.port)
    body = visitor.answer(visitor.challenge().json["challenge"], person.lock)
    require(visitor.post("/api/login", body).status == 200, "the login")
    before_login = visitor.at(right.port)
    before_login.cookies = {name: value for name, value in visitor.cookies.items() if name != "calock"}
    wrong = field.replica(
        wait="/healthz", LD_PRELOAD=str(FAKETIME[0]), FAKETIME="+1h", FAKETIME_DONT_FAKE_MONOTONIC="1"
    )  # fmt: skip
    wait_until(lambda: b"clock: differs" in wrong.ask("/readyz")[1], "/readyz of the wrong machine")
    seconds = field.size(80, 5)  # the wrong machine's sweeps come every minute
    ends = time.monotonic() + seconds
    replays: Counter[str] = Counter()
    alive = 0
    while time.monotonic() < ends:
        replays[before_login.post("/api/login", body).reason] += 1
        for machine in (right, wrong):
            require(visitor.at(machine.port).get("/api/bindings").status == 200, "the session ended")
            alive += 1
        time.sleep(2)
    require(set(replays) == {"CHALLENGE_SPENT"}, replays)
    return {"seconds": seconds, "replays refused": replays.total(), "session alive on both": alive}
