"""Part of a file as the answer to a request: the server's event loop sends it, and no thread waits for a slow reader."""

from __future__ import annotations

from io import BufferedReader
from typing import NamedTuple


class FilePart(NamedTuple):
    """Bytes ``start`` up to and without ``stop`` of an open file. A response says that it is one by ``file_part``."""

    file: BufferedReader
    start: int
    stop: int
