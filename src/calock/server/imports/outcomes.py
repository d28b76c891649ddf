"""What becomes of a line: made, changed, as it was, or an error; and the batches in which lines are judged and written."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from calock.core.masking import mask_person_ids
from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.imports.columns import Record

BATCH = 1000
"""Lines of one transaction."""


class Outcome(StrEnum):
    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    ERROR = "error"


OUTCOME_WORDS = {Outcome.NEW: "新增", Outcome.CHANGED: "变更", Outcome.SAME: "无变化", Outcome.ERROR: "错误"}


@dataclass(slots=True)
class Judged:
    """A line and what becomes of it. ``words``: what changes, or what is wrong, in Chinese.

    Both texts are for reports, so no 公民身份号码 stands in them: some CAs make their CA锁ID of it.
    """

    number: int
    key: str
    """What names the row for people: account, code or CA锁ID."""
    outcome: Outcome
    words: str = ""
    row: Any = None
    """The row that the line is about: unsaved for a new one."""
    values: dict[str, Any] = field(default_factory=dict)
    """What is written."""

    def __post_init__(self) -> None:
        self.key, self.words = mask_person_ids(self.key), mask_person_ids(self.words)


@dataclass(frozen=True, slots=True)
class Importing:
    """Who imports, when, and what the audit rows name: the file by its SHA-256. ``by`` None is the server's owner."""

    by: Account | None
    at: datetime
    sha256: str
    # as the trail asks who acts: nobody's browser, a job or a command
    site: str = ""
    ip: str | None = None
    user_agent: str = ""
    passwords: dict[int, str] = field(default_factory=dict)
    """Those of new accounts as the database keeps them, by line: made ahead of the transaction."""

    @property
    def actor(self) -> uuid.UUID | None:
        return self.by.pk if self.by else None


Keys = Callable[[Record], dict[str, str]]
"""What names the row of a line, by the name of the column: no two lines of a file may have the same."""


def twice(records: Iterable[Record], keys: Keys) -> dict[int, str]:
    """Lines that name what another line of the file names too: which of them is right cannot be known."""
    lines: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for record in records:
        if not record.fault:
            for title, value in keys(record).items():
                lines[title, value].append(record.number)
    return {
        number: f"{title}重复：第 {'、'.join(map(str, numbers[:5]))} 行"
        for (title, _), numbers in lines.items()
        if len(numbers) > 1
        for number in numbers
    }


def judge_each(records: Sequence[Record], key: str, decide: Callable[[Record], Judged]) -> list[Judged]:
    """``decide`` about every line that could be read; a refusal of it makes an error line. ``key`` is the column shown for it."""
    return [_judged(record, key, decide) for record in records]


def _judged(record: Record, key: str, decide: Callable[[Record], Judged]) -> Judged:
    if record.fault:
        return Judged(record.number, record.values.get(key, ""), Outcome.ERROR, record.fault)
    try:
        return decide(record)
    except Refusal as refusal:
        return Judged(record.number, record.values[key], Outcome.ERROR, refusal.detail)


def batches(records: Sequence[Record]) -> Iterable[Sequence[Record]]:
    return (records[start : start + BATCH] for start in range(0, len(records), BATCH))
