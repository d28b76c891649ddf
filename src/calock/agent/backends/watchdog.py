"""A time limit for what a worker does unasked: looking at the plugged-in tokens. Requests are timed by the driver."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

LOOK_SECONDS = 6.0
NOT_ANSWERING = 70
"""Exit status by which the driver learns why its worker ended (EX_SOFTWARE of sysexits.h)."""


@contextlib.contextmanager
def ending_after(seconds: float | None = None) -> Iterator[None]:
    """End this process when the block takes longer: a call into a vendor library that hangs cannot be interrupted."""
    timer = threading.Timer(LOOK_SECONDS if seconds is None else seconds, os._exit, (NOT_ANSWERING,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
