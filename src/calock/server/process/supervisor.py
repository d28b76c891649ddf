"""The parent of all processes of this machine: it starts them, starts those anew that end, and ends them in order.

It has no threads, so that it can fork at any time, and does nothing else, so that it does not fail.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
SOUND = 5.0
"""A process that lived so many seconds had started well: it is replaced at once."""
SLOWEST = 30.0
"""Seconds between two starts of a process that ends again and again."""
FIRST = 0.1

log = logging.getLogger("calock.server")


@dataclass(slots=True)
class Child:
    """One process that must always run. ``start`` starts it and returns its id; ``hurry`` is the signal that ends it at once."""

    name: str
    start: Callable[[], int]
    hurry: signal.Signals = signal.SIGINT
    pid: int = 0
    born: float = 0.0
    failures: int = 0
    due: float = field(default=0.0)

    def begin(self, now: float) -> None:
        self.pid, self.born = self.start(), now

    def ended(self, status: int, now: float) -> None:
        """Note the end, and when it is started again: at once after a sound life, else after a growing pause."""
        self.failures = 0 if now - self.born >= SOUND else self.failures + 1
        pause = min(SLOWEST, FIRST * 2 ** min(self.failures - 1, 16)) if self.failures else 0.0
        self.pid, self.due = 0, now + pause
        log.error("%s ended with status %d; starting it again in %.1f s", self.name, os.waitstatus_to_exitcode(status), pause)


class Signals:
    """The signals of HEARD as bytes of a pipe, so that they can be waited for with a time limit."""

    def __init__(self) -> None:
        self._heard, self._written = os.pipe()
        os.set_blocking(self._heard, False)
        os.set_blocking(self._written, False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._written)
        for signo in HEARD:
            signal.signal(signo, lambda *_: None)  # what counts is the byte in the pipe
        return self

    def __exit__(self, *_: object) -> None:
        _be_deaf()
        os.close(self._heard)
        os.close(self._written)

    def wait(self, seconds: float) -> set[int]:
        """Those that arrived, once there are any or the time is over."""
        if not select.select([self._heard], [], [], max(0.01, seconds))[0]:
            return set()
        return set(os.read(self._heard, 4096))


def _be_deaf() -> None:
    signal.set_wakeup_fd(-1)
    for signo in HEARD:
        signal.signal(signo, signal.SIG_DFL)


def _call_this_process(name: str) -> None:
    """Have ``ps`` and ``top`` show ``name`` (prctl(2), PR_SET_NAME): forked processes have the same command line."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(15, f"calock-{name}".encode())


def forked(name: str, run: Callable[[], None]) -> int:
    """Start ``run`` in a forked process; its id. SIGTERM and SIGINT wait there until it has handlers and unblocks them."""
    told = (signal.SIGTERM, signal.SIGINT)
    signal.pthread_sigmask(signal.SIG_BLOCK, told)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, told)
        return pid
    status = 1
    try:
        _be_deaf()
        _call_this_process(name)
        run()
        status = 0
    except BaseException:
        log.exception("a process of the server failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Supervisor:
    """Keeps ``children`` running until SIGTERM (they drain) or SIGINT (they stop), then waits ``grace`` seconds and kills."""

    def __init__(self, children: Sequence[Child], *, grace: float) -> None:
        self._children = children
        self._grace = grace

    def run(self, signals: Signals) -> None:
        """Until told to end, and everything has ended."""
        told = 0
        while not told:
            now = time.monotonic()
            for child in self._children:
                if not child.pid and child.due <= now:
                    _begin(child, now)
            heard = signals.wait(min((child.due - now for child in self._children if not child.pid), default=60.0))
            told = next((signo for signo in (signal.SIGINT, signal.SIGTERM) if signo in heard), 0)
            for child, status in self._ended():
                child.ended(status, time.monotonic())
        self._end(told, signals)

    def _ended(self) -> Iterator[tuple[Child, int]]:
        """Children that have ended, with their status, whether they are started again or not."""
        for child in self._children:
            if child.pid:
                pid, status = os.waitpid(child.pid, os.WNOHANG)
                if pid:
                    yield child, status

    def _end(self, how: int, signals: Signals) -> None:
        """Pass the signal on and wait; a second signal hurries, and the end of the grace kills."""
        self._tell(how)
        deadline = time.monotonic() + self._grace
        while any(child.pid for child in self._children):
            if signals.wait(min(1.0, deadline - time.monotonic())) & {signal.SIGTERM, signal.SIGINT}:
                self._tell(signal.SIGINT)
            if time.monotonic() >= deadline:
                self._tell(signal.SIGKILL)
            for child, _ in self._ended():
                child.pid = 0

    def _tell(self, signo: int) -> None:
        for child in self._children:
            if child.pid:
                os.kill(child.pid, child.hurry if signo == signal.SIGINT else signo)


def _begin(child: Child, now: float) -> None:
    try:
        child.begin(now)
    except OSError as error:  # no memory or no process ids left: another try later
        child.failures += 1
        child.due = now + SLOWEST
        log.error("%s cannot be started: %s", child.name, error)  # noqa: TRY400 - it is tried again
