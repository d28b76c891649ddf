"""What a CA login costs the server and its database over HTTP: CPU milliseconds of challenge and login, user and system time.

Run: ``python bench/login_over_http.py [--algorithms EC SM2 RSA] [--logins N] [--rounds N] [--against CHECKOUT]``. A PostgreSQL of
its own, one server process of calock and one of ``reference.py``, four people who log in again and again on new connections, as a
proxy without keep-alive sends them; in turns, in the same run: only the ratio means something on a shared machine. With
``--against`` another checkout of calock (one with tests/worlds) is measured in turns with this one as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from measuring import PEOPLE, ROOT, Cost, Goals, children, database, parser, ratio, turns

PAGES = ("/login/", "/system/ca/")
GOALS = {("EC", "calock"): 1.3, ("SM2", "calock"): 1.6}
"""At most so many times the reference."""
PAGE_GOALS = {"/login/": 1.0, "/system/ca/": 2.0}
"""At most so many of our own logins."""


class Subjects:
    """In a child: a database with people in it, a server of calock, and one of the reference; each does what it is told."""

    def __init__(self, algorithm: str) -> None:
        from field import Field  # noqa: PLC0415 - of the checkout under test

        self.field = Field("postgresql", algorithm=algorithm)
        assert self.field.postgres
        self.people = self.field.people[:PEOPLE]
        self.machine = self.field.replica("--workers", "1", wait="/healthz")
        self.reference, self.reference_port = self._start_reference()
        self.database = database(self.field)
        self.pool = ThreadPoolExecutor(PEOPLE)

    def _start_reference(self) -> tuple[subprocess.Popen[bytes], int]:
        from machines import SITE, ask, free_port, wait_until  # noqa: PLC0415

        port, authority = free_port(), self.people[0].lock.family.issuing
        environment = {
            **os.environ, "DATABASE_URL": self.field.url, "CALOCK_BENCH_ORIGIN": f"http://{SITE}:{port}",
            "CALOCK_BENCH_CA": authority.certificate.hex(), "CALOCK_BENCH_CA_KEY": authority.key.spki_sha256,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        }  # fmt: skip
        command = ["granian", "--interface", "asgi", "--workers", "1", "--port", str(port), "--no-ws", "reference:app"]
        process = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=subprocess.DEVNULL)

        def well() -> bool:
            try:
                return bool(ask(port, "/healthz")[0] == 200)
            except OSError:
                return False

        wait_until(well, "the reference")
        return process, port

    def ready(self) -> None:
        self.machine.wait("/readyz")
        for what in ("calock", "reference", *PAGES):
            self.do(what, 40)

    def do(self, what: str, count: int) -> float:
        """CPU milliseconds of one: of the server's process and of the database."""
        port = self.reference_port if what == "reference" else self.machine.port
        server = children(self.reference.pid) if what == "reference" else self.machine.children()
        acts = [self._act(what, port, person) for person in self.people]

        def some(act: Callable[[], None]) -> None:
            for _ in range(count // PEOPLE):
                act()

        return Cost([lambda: server, self.database], lambda _: list(self.pool.map(some, acts))).of(count)

    def _act(self, what: str, port: int, person: Any) -> Callable[[], None]:
        from visitors import Visitor  # noqa: PLC0415

        visitor = Visitor(port)

        def log_in() -> None:
            visitor.cookies.pop("calock", None)  # another person's turn at this browser
            expect(lambda: visitor.log_in(person.lock))

        def expect(act: Callable[[], Any]) -> None:
            for _ in range(100):
                reply = act()
                if reply.status == 200:
                    return
            raise SystemExit(f"{reply.status} {reply.body[:300]!r}")

        if what not in PAGES:
            return log_in
        if what != "/login/":
            log_in()
        return lambda: expect(lambda: visitor.get(what))

    def close(self) -> None:
        self.reference.terminate()
        self.reference.wait()
        self.field.close()


def measure(algorithm: str) -> None:
    """A child: answers each line ``WHAT COUNT`` on standard input with the milliseconds of one."""
    subjects = Subjects(algorithm)
    try:
        subjects.ready()
        print("ready", flush=True)
        for line in sys.stdin:
            what, count = line.split()
            print(subjects.do(what, int(count)), flush=True)
    finally:
        subjects.close()


class Child:
    """The same script in another process, with the sources of one checkout."""

    def __init__(self, checkout: Path, algorithm: str) -> None:
        ours = [str(ROOT / "tests" / "reliability")]
        path = os.pathsep.join([str(checkout / "src"), str(checkout / "tests"), *ours])
        command = [sys.executable, __file__, "--measure", algorithm]
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line() != "ready":
            raise SystemExit(f"no server from {checkout}")

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def do(self, what: str, count: int) -> float:
        assert self._process.stdin
        self._process.stdin.write(f"{what} {count}\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def compare(algorithm: str, asked: argparse.Namespace, goals: Goals) -> None:
    """One table: what each costs, and its ratio to the reference within the same turn (the median of the turns)."""
    here = Child(ROOT, algorithm)
    whose = {what: (here, what) for what in ("reference", "calock", *PAGES)}
    if asked.against:
        whose["there"] = (Child(asked.against, algorithm), "calock")
    found = turns({name: partial(child.do, what, asked.logins) for name, (child, what) in whose.items()}, asked.rounds)
    for child in {id(child): child for child, _ in whose.values()}.values():
        child.close()
    for name, values in found.items():
        of_reference, of_login = ratio(values, found["reference"]), ratio(values, found["calock"])
        told = f"best {min(values):.2f} ms, / reference {of_reference:.2f}, / our login {of_login:.2f}"
        wanted = GOALS.get((algorithm, name)) or PAGE_GOALS.get(name)
        judged = f"   {goals.at_most(of_login if name in PAGE_GOALS else of_reference, wanted)}" if wanted else ""
        print(f"{algorithm:<4} {name:<12} {told}{judged}")


def main() -> int:
    words = parser()
    words.add_argument("--algorithms", nargs="+", default=["EC", "SM2"])
    words.add_argument("--logins", type=int, default=200)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--against", type=Path, help="another checkout to measure in turns with this one")
    words.add_argument("--measure", metavar="ALGORITHM", help=argparse.SUPPRESS)
    asked, goals = words.parse_args(), Goals()
    if asked.measure:
        measure(asked.measure)
        return 0
    print(f"CPU ms of challenge + login or of a page: one server process and PostgreSQL, {asked.rounds} x {asked.logins} in turns")
    for algorithm in asked.algorithms:
        compare(algorithm, asked, goals)
    return goals.status()


if __name__ == "__main__":
    sys.exit(main())
