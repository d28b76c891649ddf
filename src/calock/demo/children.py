"""The demonstration's programs: started together, watched together, stopped together, in a fixed order."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

STOP_SECONDS = 10.0
START_SECONDS = 60.0
PR_SET_PDEATHSIG = 1


class ChildError(RuntimeError):
    """A program of the demonstration did not start, or ended by itself; says where its log is."""


def _die_with_parent() -> None:
    """On Linux the kernel ends a child whose parent was killed, so that nothing is left listening."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """One program, its output in a log file. It gets a session of its own: Ctrl-C reaches only us, and we stop it in order."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        passing: bool = False,
    ) -> None:
        """``passing``: it has one thing to do and may end when it is done."""
        self.name, self.log, self.passing = name, log, passing
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads run yet
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait for ``ready()``.

        Raises:
            ChildError: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ChildError(f"{self.name} ended with status {self._process.returncode}; its last words are in {self.log}")
            if time.monotonic() > deadline:
                raise ChildError(f"{self.name} did not answer within {seconds:.0f} s; see {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ask it to end; after ``STOP_SECONDS`` end it with everything it started."""
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Children:
    """All of them; stopped in the reverse of the order they were started in, also when starting one failed."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def add(self, child: Child) -> Child:
        self._children.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.stop()

    def watch(self, stopping: Callable[[], bool]) -> None:
        """Return when ``stopping()``.

        Raises:
            ChildError: one of them ended by itself.
        """
        while not stopping():
            for child in self._children:
                if not child.running and not child.passing:
                    raise ChildError(f"{child.name} ended by itself; its last words are in {child.log}")
            time.sleep(0.2)
