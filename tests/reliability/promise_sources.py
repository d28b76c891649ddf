"""What the CAs' sources of revocation data say, and what holds when they say nothing or lies."""

from __future__ import annotations

import random
import time
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from machines import wait_until
from promises import Counts, promise, require
from visitors import Visitor

if TYPE_CHECKING:
    from field import Field
    from machines import Replica

MINUTE = 60.0


class Source:
    """The issuing CA's place: what it says now."""

    def __init__(self, field: Field) -> None:
        self._field = field
        (self._family,) = field.world.families
        self.issuing = self._family.issuing
        self._path = f"/{self.issuing.key.spki_sha256}.crl"
        self._paths = [f"/{authority.key.spki_sha256}.crl" for authority in (self._family.root, self.issuing)]
        self._before = {path: field.source.answers[path] for path in self._paths}

    def crl(self, revoked: list[Any], authority: Any = None) -> bytes:
        from django.utils import timezone

        now = timezone.now()
        entries = [(serial, now - timedelta(minutes=1), "keyCompromise") for serial in revoked]
        made: bytes = (authority or self.issuing).crl(entries, this_update=now, next_update=now + timedelta(hours=9))
        return made

    def say(self, body: bytes) -> None:
        self._field.source.serve(self._path, body)

    def fall_silent(self) -> None:
        """Neither CA answers: the connection ends."""
        for path in self._paths:
            self._field.source.answers[path] = lambda handler: setattr(handler, "close_connection", True)

    def speak_again(self) -> None:
        self._field.source.answers.update(self._before)

    def publish_root(self) -> None:
        root = self._paths[0]
        self._field.source.answers[root] = self._before[root]


def outcome(machine: Replica, person: Any) -> str:
    return Visitor(machine.port, ip="198.51.100.9").log_in(person.lock).reason


@promise("R8", "a lock that its CA revokes is out within a minute, on every machine: no login, no session")
def revoked_is_out(field: Field, rng: random.Random) -> Counts:
    from calock.core.certificates.certificate import Certificate

    source = Source(field)
    machines = [field.replica() for _ in range(2)]
    revoked: list[int] = []
    slowest = 0.0
    rounds = field.size(5, 1)
    for number in range(rounds):
        person = field.spare_person()
        visitors = [Visitor(machine.port, ip=f"198.51.100.{number}") for machine in machines]
        require(all(visitor.log_in(person.lock).status == 200 for visitor in visitors), "the logins before")
        time.sleep(rng.uniform(0, field.size(20, 1)))  # at any moment of the machines' rounds
        revoked.append(Certificate.parse(person.lock.certificate).serial)
        source.say(source.crl(revoked))

        def out(visitors: list[Visitor] = visitors, person: Any = person) -> bool:
            over = all(visitor.get("/api/bindings").status == 401 for visitor in visitors)
            return over and {outcome(machine, person) for machine in machines} == {"CERTIFICATE_REVOKED"}

        slowest = max(slowest, wait_until(out, "a revoked lock to be out", MINUTE))
        require({outcome(machine, field.people[0]) for machine in machines} == {"200"}, "somebody else's lock")
    return {"locks revoked": rounds, "machines": 2, "out everywhere after s, at most": round(slowest, 1), "others in": rounds * 2}


@promise(
    "R9", "a source that is away or lies opens nothing and closes nothing that is known to be good; back, it is believed again"
)
def source_away_or_lying(field: Field, rng: random.Random) -> Counts:
    source = Source(field)
    machine = field.replica()
    logins: Counter[str] = Counter()
    seconds = field.size(25, 7)

    def log_in_meanwhile(what: str) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            reason = outcome(machine, rng.choice(field.people))
            require(reason == "200", f"{what}: {reason}")
            logins["accepted"] += 1
            time.sleep(0.5)

    try:
        source.fall_silent()
        fresh = field.replica(wait="/healthz")
        log_in_meanwhile("the source is silent")
        refused = Counter(outcome(fresh, person) for person in field.people[:5])
        require(set(refused) == {"REVOCATION_UNAVAILABLE"}, f"a machine without any CRL: {dict(refused)}")
        status, said = fresh.ask("/readyz")
        require(status == 503 and b"revocation: this machine" in said, said)
        source.publish_root()
        lies = {
            "another CA's CRL": source.crl([], authority=field.world.families[0].root),
            "a page": b"<!doctype html><title>503</title>",
            "half a CRL": source.crl([])[:-20],
            "nothing": b"",
        }
        for what, body in lies.items():
            source.say(body)
            log_in_meanwhile(what)
            refused[outcome(fresh, field.people[0])] += 1
        closed = {"REVOCATION_UNAVAILABLE", "REVOCATION_UNTRUSTED"}
        require(set(refused) <= closed, f"a machine that was only lied to: {dict(refused)}")
    finally:
        source.speak_again()
    source.say(source.crl([]))
    back = wait_until(lambda: outcome(fresh, field.people[0]) == "200", "the machine that had no CRL", 4 * MINUTE)
    fresh.wait("/readyz")
    return {
        "accepted meanwhile": logins["accepted"], "lies": len(lies), "refused without data": refused.total(),
        "believed again after s": round(back, 1),
    }  # fmt: skip
