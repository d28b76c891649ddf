"""The newest revision of the register that was seen here, kept outside of the database.

A seal that fits proves that rows once were this server's register, not that they are the newest: somebody who puts every table
back as it was before a withdrawal puts back a seal that fits. So each process keeps the highest revision it saw, and each machine
keeps it in one file below ``CALOCK_DATA``, sealed and replaced in one rename. A register below it, or of the same revision with
another seal, is a damaged one. Machines need not agree: each holds what it saw itself.
"""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import structlog
from django.conf import settings

from calock.server.providers import seal
from calock.server.providers.seal import RegisterDamagedError
from calock.server.tools.files import locked, make_folder, replacing
from calock.server.tools.seals import is_of_another_key, same

log = structlog.get_logger(__name__)


class RegisterSnapshot(msgspec.Struct, frozen=True):
    """One state of the register: enough to recognise it, and to tell people what another one lacks."""

    revision: int
    mac: str
    """The register's seal at that revision."""
    at: str
    """When it was seen, ISO 8601."""
    rows: tuple[str, ...]
    """The rows in words, one line each (``register_rows.Rows.lines``)."""


_lock = threading.Lock()
_memory: RegisterSnapshot | None = None
_read: tuple[tuple[str, int, int, int], RegisterSnapshot | None] | None = None
"""What the file said, and the stamp it had then: a look at an unchanged file is one system call."""


def file() -> Path:
    return Path(settings.CALOCK.data) / "register.seen"


def newest() -> RegisterSnapshot | None:
    """The newest state this process or this machine saw; None on a new machine.

    Ask before reading the database: what was seen before cannot be newer than what is read after.

    Raises:
        RegisterDamagedError: the file is not the one this server wrote.
    """
    stored = _from_file()
    return max((item for item in (_memory, stored) if item is not None), key=lambda item: item.revision, default=None)


def in_memory() -> int:
    """The highest revision this process saw; 0 = none."""
    return _memory.revision if _memory else 0


def check(state: tuple[int, str] | None, floor: RegisterSnapshot | None) -> None:
    """Hold the register's ``(revision, seal)`` against the newest state seen; None = the database holds no register.

    Raises:
        RegisterDamagedError: it was put back.
    """
    if floor is None:
        return
    revision, mac = state or (0, "")
    if revision < floor.revision:
        raise RegisterDamagedError(
            f"the register was put back: it has revision {revision}, and revision {floor.revision} was seen here at {floor.at}"
        )
    if revision == floor.revision and not same(mac, floor.mac):
        raise RegisterDamagedError(f"the register of revision {revision} is not the one that was seen here at {floor.at}")


def remember(seen: RegisterSnapshot, *, even_if_damaged: bool = False) -> None:
    """Keep ``seen`` when it is newer than what is kept. A disk that cannot be written is logged: the process still knows.

    ``even_if_damaged``: replace also a file that is not ours; only a decision of the server's owner says so.
    """
    global _memory  # noqa: PLW0603 - the state of this process
    with _lock:
        if _memory is None or _memory.revision < seen.revision or even_if_damaged:
            _memory = seen
    try:
        make_folder(file().parent)
        with locked(file().with_suffix(".lock")):  # an older revision never replaces a newer one
            stored = _from_file(or_none=even_if_damaged)
            if stored is None:
                log.warning("register_first_seen_here", revision=seen.revision, seal=seen.mac)
            if stored is None or stored.revision < seen.revision:
                _write(seen)
    except RegisterDamagedError:
        return  # found and reported again at the next reading
    except OSError as error:
        log.error("register_not_remembered", revision=seen.revision, error=str(error))  # noqa: TRY400 - the text says it all


def forget() -> None:
    """Be a new machine: between tests."""
    global _memory, _read  # noqa: PLW0603 - the state of this process
    _memory = _read = None
    file().unlink(missing_ok=True)


def _from_file(*, or_none: bool = False) -> RegisterSnapshot | None:
    """What the file says; None when there is none, or one of another secret key (its revisions are not this register's)."""
    global _read  # noqa: PLW0603 - the state of this process
    path = file()
    try:
        found = path.stat()
        stamp = (str(path), found.st_ino, found.st_mtime_ns, found.st_size)
        if _read is not None and _read[0] == stamp:
            return _read[1]
        seen = _open(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, RegisterDamagedError) as error:
        if or_none:
            return None
        if isinstance(error, RegisterDamagedError):
            raise
        raise RegisterDamagedError(f"{path} cannot be read: {error}") from error
    _read = stamp, seen
    return seen


def _open(text: str) -> RegisterSnapshot | None:
    body, _, tail = text.partition("\n")
    mac = tail.strip()
    if is_of_another_key(mac):
        log.warning("register_seen_under_another_key", file=str(file()))
        return None
    if not seal.fits(mac, "seen", [body]):
        raise RegisterDamagedError(f"{file()} is not the file that this server wrote")
    try:
        return msgspec.json.decode(body, type=RegisterSnapshot)
    except msgspec.MsgspecError as error:
        raise RegisterDamagedError(f"{file()} is of another version") from error


def _write(seen: RegisterSnapshot) -> None:
    body = msgspec.json.encode(seen).decode()
    with replacing(file()) as new:
        new.write(f"{body}\n{seal.mac('seen', [body])}\n".encode())
