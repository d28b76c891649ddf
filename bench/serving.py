"""What a CA login costs the whole server process over HTTP: CPU milliseconds of challenge and login, user and system time.

Run: ``python bench/serving.py [--logins N] [--rounds N] [--against CHECKOUT]``. One server process on SQLite, four people who log
in again and again on new connections, as a proxy without keep-alive sends them. With ``--against`` another checkout of calock (one
with tests/worlds) is measured in turns with this one, in the same run: only the ratio means something on a shared machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PEOPLE = 4


def cpu_seconds(pid: int) -> float:
    """User and system time of one process, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure() -> None:
    """A child: make a field, then answer each number on standard input with the milliseconds of so many logins."""
    from field import Field  # noqa: PLC0415 - of the checkout under test
    from visitors import Visitor  # noqa: PLC0415

    field = Field("sqlite")
    machine = field.replica("--workers", "1", wait="/healthz")
    machine_process = machine.children()[0] if machine.children() else machine.process.pid

    def log_in(work: tuple[int, int]) -> None:
        number, count = work
        visitor = Visitor(machine.port)
        for _ in range(count):
            visitor.cookies.pop("calock", None)  # another person's turn at this browser
            for _try in range(100):
                reply = visitor.log_in(field.people[number].lock)
                if reply.status == 200:
                    break
            else:
                raise SystemExit(f"{reply.status} {reply.body[:300]!r}")

    with ThreadPoolExecutor(PEOPLE) as pool:
        machine.wait("/readyz")
        list(pool.map(log_in, [(number, 20) for number in range(PEOPLE)]))
        print("ready", flush=True)
        for line in sys.stdin:
            count = int(line)
            began = cpu_seconds(machine_process)
            list(pool.map(log_in, [(number, count // PEOPLE) for number in range(PEOPLE)]))
            print((cpu_seconds(machine_process) - began) * 1000 / count, flush=True)
    field.close()


class Child:
    """The same script in another process, with the sources of one checkout."""

    def __init__(self, checkout: Path) -> None:
        ours = [str(ROOT / "tests" / "reliability")]
        path = os.pathsep.join([str(checkout / "src"), str(checkout / "tests"), *ours])
        command = [sys.executable, __file__, "--measure"]
        environment = {**os.environ, "PYTHONPATH": path}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if self._line() != "ready":
            raise SystemExit(f"no server from {checkout}")

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def log_in(self, count: int) -> float:
        assert self._process.stdin
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._line())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logins", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout to measure in turns with this one")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure()
        return
    checkouts = {"here": ROOT, **({"there": chosen.against} if chosen.against else {})}
    children = {name: Child(path) for name, path in checkouts.items()}
    found: dict[str, list[float]] = {name: [] for name in children}
    for _ in range(chosen.rounds):
        for name, child in children.items():
            found[name].append(child.log_in(chosen.logins))
    for child in children.values():
        child.close()
    print(f"CPU ms of challenge + login (P-256), one server process, SQLite, {chosen.rounds} × {chosen.logins} in turns")
    for name, values in found.items():
        print(f"{name:<6} best {min(values):.2f}  median {sorted(values)[len(values) // 2]:.2f}")
    if chosen.against:
        ratios = sorted(here / there for here, there in zip(found["here"], found["there"], strict=True))
        best = min(found["here"]) / min(found["there"])
        print(f"here / there: best {best:.2f}, median of the rounds {ratios[len(ratios) // 2]:.2f}")


if __name__ == "__main__":
    main()
