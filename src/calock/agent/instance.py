"""One driver per user: a lock file held while it runs, and a note where it listens, readable by its user only."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import IO

import msgspec

from calock.agent.private_file import write_private


class AlreadyRunningError(RuntimeError):
    """The driver already runs for this user."""


class RunningInstance(msgspec.Struct, frozen=True, kw_only=True):
    """What ``calock agent --open`` needs to find and ask the running driver."""

    pid: int
    port: int
    tls_port: int = 0
    """Where it listens with https too; 0: nowhere."""
    control: str
    """Secret that lets this user's own programs ask for the status page."""


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - exists on Windows only

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - exists elsewhere only

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Instance:
    """Holds the lock from construction to ``close``.

    Raises:
        AlreadyRunningError: another process holds it.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.directory = directory
        self._note = directory / "agent.json"
        self._file = (directory / "agent.lock").open("a")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise AlreadyRunningError(str(directory)) from error
        self.control = secrets.token_urlsafe(32)

    def publish(self, port: int, tls_port: int = 0) -> None:
        """Write where the driver listens, for this user's eyes only."""
        note = RunningInstance(pid=os.getpid(), port=port, tls_port=tls_port, control=self.control)
        write_private(self._note, msgspec.json.encode(note))

    def close(self) -> None:
        self._note.unlink(missing_ok=True)
        self._file.close()


def read_running_instance(directory: Path) -> RunningInstance | None:
    """Return where this user's driver listens, or None when none runs."""
    try:
        return msgspec.json.decode((directory / "agent.json").read_bytes(), type=RunningInstance)
    except (OSError, msgspec.MsgspecError):
        return None
