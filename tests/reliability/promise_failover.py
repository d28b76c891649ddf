"""Three database machines watch each other: the loss of the one that takes writes costs seconds, and nothing that was confirmed."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import ledger
from machines import wait_until
from promise_deaths import Logins
from promises import Counts, promise, require
from visitors import Crowd, Visitor

if TYPE_CHECKING:
    from field import Field
    from people import Person
    from worlds.practice import PracticeLock

TAKEN = {"LOCK_BOUND_TO_OTHER", "LOCK_ALREADY_BOUND"}
"""What is said of a lock that is bound: by oneself, when an answer was lost on its way."""
AWAY = {"DATABASE_UNAVAILABLE", "SERVER_BUSY"}


class Binds:
    """People who bind new locks. After each answer somebody else asks for the same lock: nobody else may ever get it."""

    def __init__(self, field: Field, port: Callable[[], int], threads: int) -> None:
        self.confirmed: dict[str, str] = {}
        """CA锁ID to the account that was told that it has the lock."""
        self._field, self._port = field, port
        self._numbers, self._guard = itertools.count(1000), threading.Lock()
        self.crowd = Crowd([lambda n=n: self._one(n) for n in range(threads)], 0.1)

    def _one(self, thread: int) -> str:
        from worlds.practice import make_lock

        with self._guard:
            number = next(self._numbers)
        lock = make_lock("EC", number=number, lock_id=f"NEW-{number}")
        first, other = self._field.people[-1 - 2 * thread], self._field.people[-2 - 2 * thread]
        reason = ""
        for person in itertools.cycle((first, other)):
            reason = self._bind(person, lock)
            if reason not in {"200", *AWAY}:
                break
            if reason == "200":
                if f"NEW-{number}" in self.confirmed:
                    return "second binding"
                self.confirmed[f"NEW-{number}"] = str(person.account.pk)
        return reason

    def _bind(self, person: Person, lock: PracticeLock) -> str:
        visitor = Visitor(self._port(), ip=f"198.51.101.{self._field.people.index(person)}")
        reply = visitor.log_in(person.lock)
        if reply.status != 200:
            return reply.reason
        aim = {"member": str(person.account.pk), "provider": lock.family.provider}
        challenge = visitor.challenge("bind", **aim)
        if challenge.status != 200:
            return challenge.reason
        return visitor.post("/api/bindings", {**visitor.answer(challenge.json["challenge"], lock), **aim}).reason

    def wait_for_more(self, count: int) -> float:
        """How long it took until so many more bindings were confirmed."""
        wanted = len(self.confirmed) + count
        return wait_until(lambda: len(self.confirmed) >= wanted, "bindings")


LIVE = """
SELECT l.lock_id, b.account_id, (SELECT count(*) FROM audit_auditevent e WHERE e.event = 'binding:lock:added' AND e.lock = l.id)
FROM locks_binding b JOIN locks_lock l ON l.id = b.lock_id WHERE l.lock_id LIKE 'NEW-%' AND b.unbound_at IS NULL
"""


@promise(
    "R10p",
    "the machine of PostgreSQL's primary is lost below Patroni: what was confirmed stays, and people get in again by themselves",
    database="patroni",
)
def primary_lost(field: Field, rng: random.Random) -> Counts:
    cluster = field.cluster
    assert cluster
    machines = [field.replica() for _ in range(2)]
    logins = Logins(field, lambda: rng.choice(machines).port, 2)
    binds = Binds(field, lambda: rng.choice(machines).port, 2)
    logins.wait_for_more(field.size(100, 10))
    binds.wait_for_more(field.size(25, 3))
    lost = cluster.primary()
    assert lost
    lost.kill()
    first = logins.wait_for_more()
    binds.wait_for_more(field.size(25, 3))
    logins.wait_for_more(field.size(100, 10))
    lost.start(cluster.machines)
    whole = cluster.wait_until_whole()
    told = logins.crowd.stop()
    told_of_locks = binds.crowd.stop()
    require(set(told) <= {"200", *AWAY}, dict(told))
    require(set(told_of_locks) <= TAKEN, dict(told_of_locks))
    held = ledger.require_whole(field, logins.cookies)
    live = field.ask(LIVE)
    require(len({lock for lock, *_ in live}) == len(live), "a lock with two bindings")
    require({rows for *_, rows in live} == {1}, "a binding without its one row of the trail")
    missing = set(binds.confirmed.items()) - {(lock, str(account)) for lock, account, _ in live}
    require(not missing, f"confirmed and not there: {missing}")
    away = told.total() - told["200"]
    return {
        "logins kept": held, "bindings kept": len(binds.confirmed), "lost": 0, "second bindings": 0, "503": away, "500": 0,
        "first login after s": round(first, 1), "the lost machine follows again after s": round(whole, 1),
    }  # fmt: skip
