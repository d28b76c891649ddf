"""Sealed rows of the audit trail as JSON lines, which verify without database, secret or server.

A line with ``head`` is the signed head of a seal, as it was written; the lines behind it are its rows, in order: ``id``, ``mac``,
``intact`` (whether the MAC fitted when the row was sealed) and ``row``, the row's canonical values. Rows hash to the head's root,
each head names the one before, and each is signed by a known key: the first, or one that a row entered which a known key sealed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from calock.core.trail.heads import Head, digest_of, is_signed, key_statement, leaf_of, vouches

KEY_ADDED = "server:sealing_key:added"
TOLD = 200
"""Findings that are named; the others are counted."""


def row_line(number: int, mac: str, canonical: bytes, *, intact: bool) -> str:
    return json.dumps({"id": number, "mac": mac, "intact": intact, "row": json.loads(canonical)}, ensure_ascii=False)


def head_line(head: str) -> str:
    return json.dumps({"head": head})


@dataclass(slots=True)
class ArchiveReport:
    known: set[str]
    """Keys whose seals count."""
    first_seal: int = 0
    last_seal: int = 0
    rows: int = 0
    misfits: list[int] = field(default_factory=list)
    """Ids of rows that were not as they had been written when they were sealed: what vouches for them says so."""
    findings: list[str] = field(default_factory=list)
    finding_count: int = 0

    def found(self, what: str) -> None:
        self.finding_count += 1
        if len(self.findings) < TOLD:
            self.findings.append(what)


@dataclass(slots=True)
class _Segment:
    """A head with the rows behind it."""

    where: str
    line: str
    leaves: dict[int, bytes] = field(default_factory=dict)
    misfits: list[int] = field(default_factory=list)
    entering: list[dict[str, Any]] = field(default_factory=list)
    """Details of the rows that enter a key."""
    unreadable: list[str] = field(default_factory=list)


def check_archive(lines: Iterable[tuple[str, str]], *, trusted: Iterable[str] = ()) -> ArchiveReport:
    """Look at every line (its place, and its text), in the order of the seals; one seal's rows are in memory at a time.

    ``trusted``: keys (raw Ed25519, hex) noted elsewhere. Without them the key of the first head is believed, and named.
    """
    report = ArchiveReport(set(trusted))
    previous = ""
    for segment in _segments(lines, report):
        try:
            head = Head.of_line(segment.line)
        except ValueError:
            report.found(f"{segment.where}: the head is unreadable")
            previous = segment.line
            continue
        if not report.known:
            report.known.add(head.key)
        if not report.first_seal:
            report.first_seal = head.seq
        elif head.previous != digest_of(previous):
            report.found(f"seal {head.seq} does not follow the one before")
        _check(segment, head, report)
        previous, report.last_seal = segment.line, head.seq
    return report


def _check(segment: _Segment, head: Head, report: ArchiveReport) -> None:
    report.rows += len(segment.leaves)
    for what in segment.unreadable:
        report.found(what)
    sound = True
    if not head.is_signed_by_one_of(report.known):
        report.found(f"seal {head.seq}: its head is not one that a known key signed (key {head.key})")
        sound = False
    numbers = list(segment.leaves)
    if not vouches(head, segment.leaves) or len(numbers) != head.count or (numbers[0], numbers[-1]) != (head.first, head.last):
        report.found(f"seal {head.seq}: its rows are not the ones that were sealed")
        sound = False
    if sound:
        report.misfits += segment.misfits
    for told in segment.entering if sound else ():
        key = str(told.get("key"))
        if is_signed(key_statement(told), str(told.get("signature")), key):
            report.known.add(key)


def _segments(lines: Iterable[tuple[str, str]], report: ArchiveReport) -> Iterator[_Segment]:
    segment: _Segment | None = None
    for where, line in lines:
        try:
            told = json.loads(line)
            if "head" in told:
                if segment is not None:
                    yield segment
                segment = _Segment(where, str(told["head"]))
                continue
            if segment is None:
                report.found(f"{where}: a row without a head before it")
                continue
            _take(segment, told)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            what = f"{where}: unreadable"
            if segment is None:
                report.found(what)
            else:
                segment.unreadable.append(what)
    if segment is not None:
        yield segment


def _take(segment: _Segment, told: dict[str, Any]) -> None:
    number, row = int(told["id"]), told["row"]
    content = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    intact = bool(told["intact"])
    segment.leaves[number] = leaf_of(number, str(told["mac"]), content, intact=intact)
    if not intact:
        segment.misfits.append(number)
    if row["event"] == KEY_ADDED:
        segment.entering.append(row["details"])
