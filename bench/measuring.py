"""What the figures have in common: CPU and memory of processes, people who log in again and again, ratios of turns, goals."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from field import Field
    from machines import Replica

ROOT = Path(__file__).parent.parent
PEOPLE = 4
SMALL, LARGE = "postgres", "large"
"""Two databases of one PostgreSQL: the field's own, and its copy that more is put into."""
Processes = Callable[[], Sequence[int]]
"""Ids of processes, which may come and go."""

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that each script stops what it started: servers, a PostgreSQL


def use_this_checkout() -> None:
    """Let calock, the tests' worlds and the machines of the reliability tests be found."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "reliability")]


def parser() -> argparse.ArgumentParser:
    """The command line of the script that runs; its docstring is the help."""
    about = sys.modules["__main__"].__doc__
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def chosen(**usual: int | list[int]) -> argparse.Namespace:
    """Numbers that somebody may choose on the command line, by name, with what is usual."""
    made = parser()
    for name, value in usual.items():
        made.add_argument(f"--{name}", type=int, nargs=len(value) if isinstance(value, list) else None, default=value)
    return made.parse_args()


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes, all of their threads: the scheduler's own nanoseconds."""
    found = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            found += int(path.read_text().split()[0])
    return found / 1e9


class Cost:
    """CPU milliseconds that groups of processes spend on one of many acts. A process that ended meanwhile no longer counts."""

    def __init__(self, groups: Sequence[Processes], run: Callable[[int], object]) -> None:
        """``run`` does so many."""
        self._groups, self.run = groups, run
        self.parts: list[list[float]] = []
        """What each group spent, each time."""

    def of(self, count: int) -> float:
        """Of all groups together."""
        before = {pid: cpu_seconds([pid]) for processes in self._groups for pid in processes()}
        self.run(count)
        self.parts.append([
            sum(max(0.0, cpu_seconds([pid]) - before.get(pid, 0.0)) for pid in processes()) * 1000 / count
            for processes in self._groups
        ])  # fmt: skip
        return sum(self.parts[-1])

    def medians(self) -> list[float]:
        """Of each group."""
        return [median(part) for part in zip(*self.parts, strict=True)]


def resident(pid: int) -> float:
    """Memory of a process, in MiB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1024


def turns(acts: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """What each measures, one after the other, so many times: whatever else the machine does meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            found[name].append(act())
    return found


def ratio(these: list[float], those: list[float]) -> float:
    """The median of the turns' ratios."""
    return median(one / other for one, other in zip(these, those, strict=True))


class Goals:
    """Says of each figure whether its goal is met, and at the end with which status the script ends."""

    def __init__(self) -> None:
        self.missed = 0

    def at_most(self, figure: float, goal: float) -> str:
        return self._judged(met=figure <= goal, words=f"at most {goal}")

    def at_least(self, figure: float, goal: float) -> str:
        return self._judged(met=figure >= goal, words=f"at least {goal}")

    def _judged(self, *, met: bool, words: str) -> str:
        self.missed += not met
        return f"goal {words}, {'met' if met else 'missed'}"

    def status(self) -> int:
        return 1 if self.missed else 0


def database(field: Field) -> Processes:
    """PostgreSQL's processes."""
    return partial(children, int((field.place / "postgres" / "postmaster.pid").read_text().split()[0]))


def machine_without_jobs(field: Field, **environment: str) -> Replica:
    """One server process alone: the CRLs are those that the field's own process fetched, and no job takes its turn."""
    given = {"CALOCK_DATA": str(field.place / "harness"), **environment}
    return field.replica("--workers", "1", "--no-jobs", wait="/healthz", **given)


class Logins:
    """People, each in a browser that the account used before, who log in on new connections at one machine, some at a time."""

    def __init__(self, port: int, people: Sequence[Any], at_once: int = PEOPLE) -> None:
        from visitors import Visitor  # noqa: PLC0415 - the path comes first

        self._visitors = [(Visitor(port), person.lock) for person in people]
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(at_once)

    def run(self, count: int) -> None:
        """So many logins; each must succeed."""
        groups = [self._visitors[number :: self._at_once] for number in range(self._at_once)]
        for done in [self._pool.submit(self._some, group, count // self._at_once) for group in groups]:
            done.result()

    @staticmethod
    def _some(visitors: list[tuple[Any, Any]], count: int) -> None:
        for visitor, lock in islice(cycle(visitors), count):
            visitor.cookies.pop("calock", None)  # another person's turn at this browser
            reply = visitor.log_in(lock)
            if reply.status != 200:
                raise SystemExit(f"a login: {reply.status} {reply.body[:300]!r}")
