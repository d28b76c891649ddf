"""Package files on disk, each under its SHA-256. Nothing a request says becomes a path.

A file is hashed when it is stored and again whenever it looks changed (inode, size, times); a changed one is not served.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from cryptography.hazmat.primitives import hashes
from django.conf import settings

from calock.core.refusals import Reason, Refusal
from calock.server.tools.files import make_folder, move
from calock.wire.package import MAX_PACKAGE

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    sha256: str
    sm3: str
    size: int


def root() -> Path:
    return Path(settings.CALOCK.data) / "packages"


def path_of(sha256: str) -> Path:
    """Where a file with this hash lies.

    Raises:
        ValueError: not 64 lower-case hex digits.
    """
    if not _DIGEST.fullmatch(sha256):
        raise ValueError("not a SHA-256")
    return root() / sha256[:2] / sha256


def _limited(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_PACKAGE:
            raise Refusal(Reason.PACKAGE_REFUSED, f"more than {MAX_PACKAGE} bytes")
        yield chunk


class Incoming:
    """An upload on its way into the store: written beside it, kept only by ``keep``.

    Raises:
        Refusal: PACKAGE_REFUSED, more than 200 MB.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._path = make_folder(root()) / f"incoming-{secrets.token_hex(8)}"
        sha256, sm3, size = hashlib.sha256(), hashes.Hash(hashes.SM3()), 0
        try:
            with self._path.open("xb") as file:
                for chunk in _limited(chunks):
                    size += len(chunk)
                    sha256.update(chunk)
                    sm3.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            self.discard()
            raise
        self.stored = Stored(sha256.hexdigest(), sm3.finalize().hex(), size)

    def open(self) -> IO[bytes]:
        return self._path.open("rb")

    def keep(self) -> None:
        """Move it to its place; equal bytes that lie there already are the same file."""
        target = path_of(self.stored.sha256)
        make_folder(target.parent)
        self._path.chmod(0o400)
        move(self._path, target)

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)


_Look = tuple[int, ...]
_known_good: dict[str, _Look] = {}
_lock = threading.Lock()


def _look(file: BufferedReader) -> _Look:
    status = os.fstat(file.fileno())
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def open_checked(sha256: str, size: int) -> BufferedReader:
    """Open a stored file that has its recorded size and hash; the hash is taken again when the file looks other than last time.

    Raises:
        Refusal: PACKAGE_DAMAGED: gone, a link, or not the recorded bytes.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        file = os.fdopen(os.open(path_of(sha256), flags), "rb")
    except (OSError, ValueError) as error:
        raise Refusal(Reason.PACKAGE_DAMAGED, "the stored file cannot be read") from error
    look = _look(file)
    with _lock:
        good = _known_good.get(sha256) == look
    if not good:
        if look[2] != size or hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            file.close()
            raise Refusal(Reason.PACKAGE_DAMAGED, "the stored file no longer has its recorded hash")
        file.seek(0)
        with _lock:
            _known_good[sha256] = look
    return file
