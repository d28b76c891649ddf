"""One line for each request, beside the others on standard error (``CALOCK_ACCESS_LOG=0``: none).

What a person typed stays out of it: no query, no header but Host, no account. It is written past ``logging``, which would cost a
login a twentieth of its time.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

import msgspec

STDERR = 2
MAX_TEXT = 200


_encode = msgspec.json.Encoder().encode


def write(*, method: str, host: str, path: str, status: int, seconds: float, address: str, kind: str, request: str) -> None:
    """Write the line, in the names of all other lines (``logs``); ``kind``: which bulkhead's threads answered it.

    What standard error does not take is lost: a request is not held up for it.
    """
    line = {
        "event": "request", "method": method[:20], "host": host[:MAX_TEXT], "path": path[:MAX_TEXT], "status": status,
        "seconds": round(seconds, 4), "address": address, "kind": kind, "level": "info", "logger": "calock.access",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"), "request": request,
    }  # fmt: skip
    try:
        os.write(STDERR, _encode(line) + b"\n")
    except OSError:
        return
