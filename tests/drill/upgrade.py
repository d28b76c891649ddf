"""One machine after the other goes to the next version, and back, while people log in and bind: both versions on one database."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from authority import lock_of
from machines import DEADLINE, Platform, step
from people import Browser
from worlds.practice import PracticeLock

FIRST_NUMBER = 100
"""Of the locks that are bound meanwhile; those before are other steps'."""


class Passing:
    """Two people who log in again and again, and one who binds a new lock each time and logs in with it: by the balancer alone."""

    def __init__(self, browser: Callable[[], Browser], lock: PracticeLock, uscc: str, organisation: str) -> None:
        self.counts: Counter[str] = Counter()
        self.bound: list[str] = []
        self._browser, self._lock, self._holder = browser, lock, {"uscc": uscc, "organisation": organisation}
        self._numbers = itertools.count(FIRST_NUMBER)
        self._over, self._guard = threading.Event(), threading.Lock()
        acts = (self._log_in, self._log_in, self._bind)
        self._threads = [threading.Thread(target=self._loop, args=(act,), daemon=True) for act in acts]
        for thread in self._threads:
            thread.start()

    def _loop(self, act: Callable[[], str]) -> None:
        while not self._over.is_set():
            try:
                outcome = act()
            except (AssertionError, OSError) as error:
                outcome = f"failed: {str(error)[:200]}"
            with self._guard:
                self.counts[outcome] += 1
            self._over.wait(0.2)

    def _log_in(self) -> str:
        self._browser().log_in(self._lock)
        return "login"

    def _bind(self) -> str:
        number = next(self._numbers)
        lock_id = f"N-{number}"
        person, lock = self._browser(), lock_of(number, lock_id, **self._holder)
        person.log_in(self._lock)
        person.bind(lock, "another")
        self.bound.append(lock_id)
        self._browser().log_in(lock)
        return "binding"

    def wait_for_more(self, logins: int = 20, bindings: int = 3) -> None:
        wanted = self.counts["login"] + logins, self.counts["binding"] + bindings
        until = time.monotonic() + DEADLINE
        while self.counts["login"] < wanted[0] or self.counts["binding"] < wanted[1]:
            assert time.monotonic() < until, dict(self.counts)
            time.sleep(0.1)  # people are on their way; the deadline above ends it

    def stop(self) -> Counter[str]:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        return self.counts


def upgrade(platform: Platform, before: Path, after: Path, people: Passing) -> None:
    """``before``, ``after``: the programs of two versions. The platform runs the first, and the second in the end."""
    people.wait_for_more()
    for says, machine, programs in (
        ("machine a goes to the next version: both versions serve one database", "a", after),
        ("machine b goes there too", "b", after),
        ("back: machine a", "a", before),
        ("back: machine b", "b", before),
        ("and forward again", "a", after),
        ("both", "b", after),
    ):
        with step(says):
            platform.restart(machine, programs)
            people.wait_for_more()
    counts = people.stop()
    failed = {outcome: count for outcome, count in counts.items() if outcome.startswith("failed")}
    print(f"    {counts['login']} logins, {counts['binding']} bindings, {sum(failed.values())} failed {failed or ''}")
    assert sum(failed.values()) <= counts.total() / 100, failed
