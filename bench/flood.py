# ruff: noqa: E402 - the path comes first
"""How fast people with locks log in while others send wrong passwords as fast as they can.

Run: ``python bench/flood.py [--seconds N] [--rounds N]``. One machine with two server processes, before PostgreSQL. Two people log
in again and again; in every second turn a process of its own (with the lowest priority: attackers do not sit on the platform's
computer) sends wrong passwords of people who are there and of names that are not, from forty addresses. Compared: logins a second.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time

from measuring import Goals, parser, ratio, turns, use_this_checkout

use_this_checkout()
from field import Field
from machines import Replica
from visitors import Crowd, Visitor

GOAL = 0.8
ATTACKERS = 12


def attack(port: int) -> None:
    """A child: until its standard input ends; then what was answered is printed."""

    def guess() -> str:
        visitor = Visitor(port, ip=f"203.0.113.{random.randrange(40)}")
        name = random.choice([f"person{random.randrange(12):02}", f"niemand{random.randrange(10**6)}"])
        return str(visitor.log_in_by_password(name, f"wrong-{random.random()}").status)

    crowd = Crowd([guess] * ATTACKERS)
    sys.stdin.read()
    print(dict(sorted(crowd.stop().items())), flush=True)


class People:
    """Those who log in, and the attack beside them."""

    def __init__(self, field: Field, machine: Replica, seconds: float) -> None:
        self._port, self._seconds = machine.port, seconds
        self._visitors = [(Visitor(machine.port, ip=f"198.51.100.{n}"), one.lock) for n, one in enumerate(field.people[:2])]
        self.answers: list[str] = []

    def quiet(self) -> float:
        """Logins a second."""
        crowd = Crowd([lambda v=visitor, k=lock: v.log_in(k).reason for visitor, lock in self._visitors])
        time.sleep(self._seconds)
        outcomes = crowd.stop()
        if set(outcomes) != {"200"}:
            raise SystemExit(f"logins: {dict(outcomes)}")
        return float(outcomes["200"] / self._seconds)

    def flooded(self) -> float:
        command = ["nice", "-n", "19", sys.executable, __file__, "--attack", str(self._port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            time.sleep(2)  # it has begun
            reached = self.quiet()
            self.answers.append(process.communicate()[0].strip())
        return reached


def main() -> int:
    words = parser()
    words.add_argument("--seconds", type=float, default=10)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.attack:
        attack(asked.attack)
        return 0
    field, goals = Field("postgresql"), Goals()
    try:
        people = People(field, field.replica(), asked.seconds)
        people.quiet()
        found = turns({"quiet": people.quiet, "flooded": people.flooded}, asked.rounds)
    finally:
        field.close()
    reached = ratio(found["flooded"], found["quiet"])
    for name, values in found.items():
        print(f"{name:<8} logins a second: {', '.join(f'{value:.1f}' for value in values)}")
    print(f"answers to wrong passwords, in each turn of {asked.seconds:.0f} s: {'; '.join(people.answers)}")
    print(f"flooded / quiet {reached:.2f}   {goals.at_least(reached, GOAL)}")
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
