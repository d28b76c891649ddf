"""The signed heads in files outside the database, one for each month: copy them off this machine.

A copy shows when rows are gone. A disk that was full, or a power cut, leaves half a line; it is cut off before the
next head is written, and that head is written again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import structlog
from django.conf import settings

from calock.core.trail.heads import Head
from calock.server.audit.models import AuditSeal
from calock.server.tools.files import locked

TAIL = 64 * 1024
"""Octets of a file's end in which its last line is looked for; a head has some 400."""

log = structlog.get_logger(__name__)


def heads_path(at: datetime) -> Path:
    """The file that heads of this month are appended to."""
    data: Path = settings.CALOCK.data
    return data / f"audit-heads-{at.astimezone(UTC):%Y-%m}.jsonl"


def heads_files() -> list[Path]:
    """Every file with heads, the oldest first."""
    data: Path = settings.CALOCK.data
    return sorted(data.glob("audit-heads-????-??.jsonl"))


def published() -> Iterator[tuple[str, str]]:
    """Every line of this machine's files, and where it stands."""
    for path in heads_files():
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}, line {number}", line.rstrip("\n")


def publish_heads(*, at: datetime) -> None:
    """Append heads that the files do not have yet, and make sure that they are on the disk."""
    data: Path = settings.CALOCK.data
    with locked(data / "audit-heads.lock"):
        last = last_published()
        missing = list(AuditSeal.objects.filter(seq__gt=last).order_by("seq").values_list("head", flat=True))
        if not missing:
            return
        with heads_path(at).open("ab") as file:
            file.write("".join(f"{line}\n" for line in missing).encode())
            file.flush()
            os.fsync(file.fileno())


def last_published() -> int:
    """Number of the last head in the files, of which only the ends are read; 0 when there is none."""
    for path in reversed(heads_files()):
        with path.open("r+b") as file:
            lines = _mended(file, path).splitlines()
        for line in reversed(lines):
            try:
                return Head.of_line(line.decode(errors="replace")).seq
            except ValueError:
                log.error("audit_head_unreadable", file=path.name)  # noqa: TRY400 - the line says it all
    return 0


def _mended(file: IO[bytes], path: Path) -> bytes:
    """Whole lines of the file's end, after half a line behind them was cut off."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - TAIL)
    file.seek(start)
    tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    if len(whole) < len(tail):
        log.error("audit_heads_mended", file=path.name, octets_cut_off=len(tail) - len(whole))
        file.truncate(start + len(whole))
        os.fsync(file.fileno())
    return whole
