"""Byte ranges of one file as RFC 9110 clause 14 has them: what a resumed download asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` up to and without ``stop`` of a file of ``size``."""

    start: int
    stop: int
    size: int
    partial: bool

    @property
    def length(self) -> int:
        return self.stop - self.start

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"

    @property
    def ends_file(self) -> bool:
        return self.stop == self.size


class RangeUnsatisfiableError(ValueError):
    """The range begins behind the end of the file: 416."""


def part_for(header: str | None, size: int) -> Part:
    """The part that a Range header asks for; the whole file when there is none, or one that we need not understand.

    Several ranges in one request are answered by the whole file, which RFC 9110 clause 14.2 allows: no multipart amplification.

    Raises:
        RangeUnsatisfiableError: see there.
    """
    whole = Part(0, size, size, partial=False)
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.groups() == ("", ""):
        return whole
    first, last = match.groups()
    if not first:
        if int(last) == 0:
            raise RangeUnsatisfiableError
        return Part(max(0, size - int(last)), size, size, partial=True)
    start, stop = int(first), min(size, int(last) + 1) if last else size
    if last and int(last) < start:
        return whole
    if start >= size:
        raise RangeUnsatisfiableError
    return Part(start, stop, size, partial=True)
