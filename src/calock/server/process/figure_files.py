"""Where the processes of one machine write what they count, and room for it on the disk before the first is counted."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Read by prometheus-client when it is first imported."""
SIZE = 1 << 20
"""Bytes of one file: what the library makes it, and ten times what our series need."""
KINDS = ("counter", "histogram")
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it

log = logging.getLogger("calock.server")


def begin(data: Path) -> None:
    """Empty the folder, and have everything that is imported from now on, here and in children, count there."""
    folder = data / "figures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.environ[VARIABLE] = str(folder)
    make_room()


def make_room() -> None:
    """Take the room of this process' files now; called before it counts anything.

    They are mapped into memory, and the library makes them without taking room: on a full disk the first count would end the
    process (SIGBUS). Where there is no room it counts in memory, where Prometheus does not find it: logins go on.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    try:
        for kind in KINDS:
            with Path(folder, f"{kind}_{os.getpid()}.db").open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, SIZE)
    except OSError as error:
        log.error("figures_not_told: what process %d counts is lost: %s", os.getpid(), error.strerror)  # noqa: TRY400 - not ours
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="calock-figures-", dir=MEMORY if MEMORY.exists() else None)
