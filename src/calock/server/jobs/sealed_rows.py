"""Looking for accounts, bindings and locks that somebody changed in the database, whether or not anybody uses them.

A login that meets one refuses it at once. This tells operators before that, and of rows that were put back with an older seal.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import msgspec
import structlog
from django.conf import settings

from calock.server.accounts.sealed_rows import all_sealed
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.put_back import put_back_rows
from calock.server.locks.row_seals import damaged_rows
from calock.server.tools.files import make_folder, replacing

log = structlog.get_logger(__name__)
EVERY = 6 * 3600.0
MOST = 100
"""So many of either are named; the first are enough to look for who writes."""


def file() -> Path:
    return Path(settings.CALOCK.data) / "rows.damaged"


def found() -> list[str]:
    """What the last look of this machine found, one line each."""
    try:
        return msgspec.json.decode(file().read_bytes(), type=list[str])
    except (OSError, msgspec.MsgspecError):
        return []


def look() -> int:
    """Look at all rows; how many were damaged or put back, at most MOST of either. The trail gets each when it is first seen."""
    all_sealed()  # each machine notes it before somebody takes the mark away
    before, now = found(), [*islice(damaged_rows(), MOST), *islice(put_back_rows(), MOST)]
    for line in now:
        if line not in before:
            log.error("sealed_row_damaged", row=line)
            record(Event.ROW_DAMAGED, details={"row": line})
    if now:
        make_folder(file().parent)
        with replacing(file()) as new:
            new.write(msgspec.json.encode(now))
    else:
        file().unlink(missing_ok=True)
    return len(now)
