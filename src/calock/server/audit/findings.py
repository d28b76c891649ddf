"""What a look at the trail may find."""

from __future__ import annotations

from dataclasses import dataclass

MISFIT = "changed: its MAC does not fit"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written. ``row`` is the id of the audit row, None when it is about a seal."""

    what: str
    row: int | None = None
    number: str = ""

    def __str__(self) -> str:
        return f"row {self.row}{f' ({self.number})' if self.number else ''}: {self.what}" if self.row is not None else self.what
