"""Files and folders that belong to this user alone: written so, and not believed when they are not. As ssh does with its own.

Windows keeps a user's folders closed by their access lists; there nothing is checked.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 in one step: a reader sees the old content or the new one."""
    temporary = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_private(path: Path) -> bytes | None:
    """Content of a file with a secret; None when it is not there, or others could have read or made it."""
    try:
        state = path.lstat()
        if sys.platform != "win32" and (state.st_mode & 0o7777 != 0o600 or state.st_uid != os.getuid()):
            return None
        return path.read_bytes()
    except OSError:
        return None


def why_not_own(path: Path) -> str:
    """Why a file or folder cannot be believed to be this user's (or the administrator's); empty when it can.

    In a folder with the sticky bit, such as /tmp, others cannot replace a file that is not theirs.
    """
    if sys.platform == "win32":
        return ""
    state = path.stat()
    if state.st_uid not in (os.getuid(), 0):
        return f"{path} belongs to another user"
    sticky = stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX
    if state.st_mode & _OTHERS_WRITE and not sticky:
        return f"others may write {path} (mode {state.st_mode & 0o7777:04o}); close it with: chmod go-w '{path}'"
    return ""
