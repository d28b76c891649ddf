"""Heads as they lie outside: copied files, whole folders, logs that hold them among other lines, and addresses of HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.db.models import Max

from calock.core.trail.heads import Head
from calock.server.audit.models import AuditSeal
from calock.server.audit.outside import objects, web
from calock.server.audit.outside.addresses import require_place
from calock.server.audit.outside.delivery import sender

Lines = Iterable[tuple[str, str]]


def heads_at(places: Sequence[str], *, since: int) -> Lines:
    """Every head that the places hold, with where it stands; other lines are left out. ``since``: the first number of interest.

    Raises:
        OSError: a place cannot be read.
        ValueError: there is nothing, or it is no place.
    """
    found = [_lines(place, since) for place in places]
    return (item for lines in found for item in lines if _is_head(item[1]))


def _lines(place: str, since: int) -> Lines:
    parts = urlsplit(place)
    if parts.scheme in ("http", "https"):
        return ((place, line) for line in web.got(parts, *_numbers(since), sender()))
    if parts.scheme.startswith("s3+"):
        by = sender()
        require_place(place, token=False, key=by.key is not None)
        return ((place, line) for line in objects.got(parts, since, by))
    if parts.scheme not in ("", "file"):
        raise ValueError(f"heads cannot be read back from {place}: give the files that it wrote")
    path = Path(parts.path)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise ValueError(f"no such file: {path}")
    return _of_files(files)


def _of_files(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for path in files:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path.name}, line {number}", line[max(0, line.find("{")) :].rstrip()


def _numbers(since: int) -> tuple[Iterator[int], int]:
    seals = AuditSeal.objects.filter(seq__gte=since).order_by("seq")
    last = seals.aggregate(last=Max("seq"))["last"] or since - 1
    return seals.values_list("seq", flat=True).iterator(chunk_size=1000), last + 1


def _is_head(line: str) -> bool:
    try:
        Head.of_line(line)
    except ValueError:
        return False
    return True
