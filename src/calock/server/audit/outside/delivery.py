"""Bring every head to the places outside that the operator named, and remember what each of them has.

Each machine brings all heads, whoever made them: none can keep another's back. Places that are away are tried again at the job's
next run, and neither sealing nor anybody's login knows of it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog
from django.conf import settings

from calock.server.audit.models import AuditSeal
from calock.server.audit.outside import objects, syslog, web
from calock.server.audit.outside.addresses import SECONDS, Heads, Sender
from calock.server.audit.tree import own_key
from calock.server.tools.bounded import Deadline
from calock.server.tools.files import replacing

AT_ONCE = 100
"""Heads that are brought together."""
PATIENCE = 20.0
"""Seconds of a run in which a place is brought heads while it catches up; what is under way then may take ``SECONDS`` longer."""

log = structlog.get_logger(__name__)


class Standing(msgspec.Struct):
    """How a place stands."""

    last: int = 0
    """Number of the last head that it took."""
    away_since: str = ""
    """The first failure since it last took one; empty = it takes them."""
    error: str = ""


Standings = dict[str, Standing]


def standings() -> Standings:
    """How each place of this machine stands that is named now."""
    return {address: found for address, found in _kept().items() if address in settings.CALOCK.heads_places}


def sender() -> Sender:
    """What places know this machine by."""
    return Sender(own_key(settings.CALOCK.data)[:16] or "none", settings.CALOCK.heads_token, settings.CALOCK.heads_key)


def deliver() -> int:
    """Bring each place the heads that it lacks; how many were brought in all."""
    kept, brought = _kept(), 0
    for address in settings.CALOCK.heads_places:
        place = kept.setdefault(address, Standing())
        try:
            for taken in _catch_up(address, place):
                place.last = taken[-1][0]
                brought += len(taken)
        except OSError as error:
            if not place.away_since:
                log.warning("audit_place_away", place=address, error=str(error))
                place.away_since = datetime.now(UTC).isoformat(timespec="seconds")
            place.error = str(error)[:200]
        else:
            place.away_since = place.error = ""
    if kept:
        with replacing(_file()) as file:
            file.write(msgspec.json.encode(kept))
    return brought


def _catch_up(address: str, place: Standing) -> Iterator[Heads]:
    until, deadline = time.monotonic() + PATIENCE, Deadline(PATIENCE + SECONDS)
    missing = AuditSeal.objects.order_by("seq").values_list("seq", "head")
    while heads := list(missing.filter(seq__gt=place.last)[:AT_ONCE]):
        for taken in bring(address, heads, sender(), deadline):
            yield taken
            if time.monotonic() >= until:
                return


def bring(address: str, heads: Heads, by: Sender, deadline: Deadline) -> Iterator[Heads]:
    """Bring heads to one place: those that it took together, once it did.

    Raises:
        OSError: it did not take the next ones.
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        _append(Path(parts.path), heads, by, folder=address.endswith("/"))
    elif parts.scheme.startswith("syslog"):
        syslog.log(parts, [line for _, line in heads], deadline)
    else:
        way = objects if parts.scheme.startswith("s3+") else web
        yield from way.put(parts, heads, by, deadline)
        return
    yield heads


def _append(path: Path, heads: Heads, by: Sender, *, folder: bool) -> None:
    """In a folder each machine has a file a month. Half a line that a full disk left is ended first; its head comes again."""
    if folder:
        path /= f"audit-heads-{by.name}-{datetime.now(UTC):%Y-%m}.jsonl"
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        whole = not file.seek(0, os.SEEK_END) or (file.seek(-1, os.SEEK_END), file.read())[1] == b"\n"
        file.write(("" if whole else "\n").encode() + "".join(f"{line}\n" for _, line in heads).encode())
        file.flush()
        os.fsync(file.fileno())


def _file() -> Path:
    data: Path = settings.CALOCK.data
    return data / "audit-heads-outside.json"


def _kept() -> Standings:
    """What this machine remembers; one that remembers nothing brings everything again, which does no harm."""
    try:
        return msgspec.json.decode(_file().read_bytes(), type=Standings)
    except (OSError, msgspec.MsgspecError):
        return {}
