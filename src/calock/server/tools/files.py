"""Files that are whole or not there, also after a crash or a power cut, and locks between the processes of one machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

UNFINISHED = ".new-"
"""How the names of files begin that are not finished yet; a process that was killed may leave one behind."""


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file that takes the place of ``path`` when the body ends well; readers see the old one or the new one, whole.

    Only its owner can read it. ``durable`` False: a power cut may take it back, which is right for what is soon written again.

    Raises:
        OSError: it cannot be written. What lay there before still does.
    """
    with _unfinished(path.parent) as (file, draft):
        yield file
        file.flush()
        if durable:
            os.fsync(file.fileno())
        move(draft, path, durable=durable)


def make_once(path: Path, data: bytes) -> None:
    """Make a file, readable by its owner alone, unless there is one: of several processes that try at once one succeeds.

    Raises:
        OSError: it cannot be written.
    """
    with _unfinished(path.parent) as (file, draft):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was quicker
            os.link(draft, path)
        _sync_folder(path.parent)


def make_folder(path: Path) -> Path:
    """Make a folder that its owner alone may enter, and those above it, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(path.parent)
    return path


def move(draft: Path, path: Path, *, durable: bool = True) -> None:
    """Give a finished file, whose contents are on the disk, the name ``path``; a file that has it is replaced.

    Raises:
        OSError: it cannot be moved.
    """
    draft.replace(path)
    if durable:
        _sync_folder(path.parent)


@contextmanager
def locked(path: Path, *, wait: Callable[[], bool] | None = None) -> Iterator[bool]:
    """Hold the lock that the file ``path`` stands for, which no other process or thread of this machine holds meanwhile.

    ``wait`` is called each time somebody else is found to hold it: it pauses, and says whether to try again; when not, the body
    runs without the lock and is given False. Without ``wait`` this waits until the lock is free. The system frees a lock when
    its process ends.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("ab") as file:
        while not _took(file, or_wait=wait is None):
            if wait is not None and not wait():
                yield False
                return
        yield True


def _took(file: IO[bytes], *, or_wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX if or_wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _unfinished(folder: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file with a name that means nothing, which goes when the body ends."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=UNFINISHED)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, draft
    finally:
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the folder's list of names on the disk: without it a new name may be gone after a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
