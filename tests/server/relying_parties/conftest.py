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
from worlds.browser import bound, context
from worlds.practice import PracticeLock, make_lock
from worlds.surfer import Surfer

from calock.server.applications.installation import install_application
from calock.server.jobs.outbox import Delivery
from calock.server.locks.models import Binding
from calock.server.locks.suspension import suspend_lock
from calock.server.outbox.models import Message


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)  # what they try is HTTP; the database makes no difference


@dataclass
class Platform:
    """A calock that answers, a person who has a lock, and what stands on the platform."""

    origin: str
    lock: PracticeLock
    binding: Binding
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

    def report_lost(self) -> None:
        """As the lock's person, logged in elsewhere by password."""
        account = self.binding.account
        suspend_lock(binding=self.binding.pk, reason="", by=account, context=context(account=account))

    def deliver(self) -> int:
        """Turns of the job that sends what waits in the outbox, until every application was told; how many."""
        job, turns = Delivery(), 0
        while Message.objects.filter(kind__endswith=".logout", done_at__isnull=True).exists():
            assert job.tick(), "what waits is not due: a message was refused"
            job.wait()
            turns += 1
        assert turns, "nothing waits"
        return turns


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    while not holds():
        assert process.poll() is None, log.read_text()[-5000:]


def _takes_connections(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 0.2) as made:
            return made.getsockname() != made.getpeername()  # else the port was free, and we called ourselves from it
    except OSError:
        return False


@pytest.fixture
def platform(committed_lock_world, live_server, monkeypatch) -> Iterator[Platform]:
    relying.cheap_keys(monkeypatch)
    lock = make_lock("EC")
    found = Platform(live_server.url, lock, bound(lock, committed_lock_world.member), [])
    yield found
    for process in found.running:
        process.terminate()
    for process in found.running:
        process.wait(30)
