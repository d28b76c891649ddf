"""What the figures have in common: CPU and memory of processes, people who log in again and again, ratios of turns, goals."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from field import Field
    from machines import Replica

ROOT = Path(__file__).parent.parent
PEOPLE = 4


def use_this_checkout() -> None:
    """Let calock, the tests' worlds and the machines of the reliability tests be found."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "reliability")]


def children(pid: int) -> list[int]:
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes, all of their threads: the scheduler's own nanoseconds."""
    found = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            found += int(path.read_text().split()[0])
    return found / 1e9


def cpu_milliseconds(processes: Callable[[], list[int]], act: Callable[[], object], count: int) -> float:
    """CPU milliseconds that these processes spend on one of ``count`` acts. One that ended meanwhile no longer counts."""
    return cpu_milliseconds_each([processes], act, count)[0]


def cpu_milliseconds_each(groups: Sequence[Callable[[], list[int]]], act: Callable[[], object], count: int) -> list[float]:
    """The same for each of several groups of processes."""
    before = {pid: cpu_seconds([pid]) for processes in groups for pid in processes()}
    act()
    return [sum(max(0.0, cpu_seconds([pid]) - before.get(pid, 0.0)) for pid in processes()) * 1000 / count for processes in groups]


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


def postmaster(field: Field) -> int:
    return int((field.place / "postgres" / "postmaster.pid").read_text().split()[0])


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
