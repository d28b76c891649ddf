"""Whole applications of others before a calock that answers on a port: how they are started, and a person with a lock.

The platform is ``http://localhost``, applications are on ``http://127.0.0.1``: another host, so cookies of their own.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from worlds import relying
from worlds.browser import bound
from worlds.practice import PracticeLock, make_lock
from worlds.surfer import Surfer

from calock.server.applications.installation import install_application
from calock.server.jobs.outbox import Delivery


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)  # what they try is HTTP; the database makes no difference


@dataclass
class Platform:
    """A calock that answers, a person who has a lock, and what stands on the platform."""

    origin: str
    lock: PracticeLock
    running: list[subprocess.Popen[bytes]]

    def register(self, **changed: Any) -> str:
        """Register an application; its client secret, if it has one."""
        install_application(relying.wish(**changed))
        return relying.SECRET

    def surfer(self) -> Surfer:
        return Surfer(self.origin, self.lock)

    def start(self, command: Sequence[str | Path], *, port: int, log: Path, environment: dict[str, str] | None = None) -> None:
        """Start a program of somebody else's and wait until it takes connections."""
        with log.open("wb") as out:
            process = subprocess.Popen([str(word) for word in command], stdout=out, stderr=subprocess.STDOUT, env=environment)
        self.running.append(process)
        wait_until(lambda: _takes_connections(port), process, log)

    def deliver(self) -> None:
        """One turn of the job that sends what waits in the outbox."""
        job = Delivery()
        assert job.tick(), "nothing waits"
        job.wait()


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    while not holds():
        assert process.poll() is None, log.read_text()[-5000:]


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True


@pytest.fixture
def platform(committed_lock_world, live_server, monkeypatch) -> Iterator[Platform]:
    relying.cheap_keys(monkeypatch)
    lock = make_lock("EC")
    bound(lock, committed_lock_world.member)
    found = Platform(live_server.url, lock, [])
    yield found
    for process in found.running:
        process.terminate()
    for process in found.running:
        process.wait(30)
