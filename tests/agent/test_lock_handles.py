"""Handles of locks that are gone do not pile up."""

from __future__ import annotations

import pytest

from calock.agent.locks import MAX_HANDLES, LockTable
from calock.core.refusals import Reason, Refusal

ORIGIN = "https://www.gov.example"


def reason(table: LockTable, handle: str) -> Reason:
    with pytest.raises(Refusal) as refused:
        table.resolve(ORIGIN, handle)
    return refused.value.reason


def test_only_the_newest_handles_are_remembered() -> None:
    table = LockTable()
    table._remember(ORIGIN, "kept")
    for number in range(3 * MAX_HANDLES):
        table._remember(ORIGIN, f"handle{number}")
        table._remember(ORIGIN, "kept")  # listed again and again, as a lock that stays plugged in is
    assert len(table._listed) == MAX_HANDLES
    assert reason(table, "kept") is Reason.LOCK_REMOVED
    assert reason(table, f"handle{3 * MAX_HANDLES - 1}") is Reason.LOCK_REMOVED
    assert reason(table, "handle0") is Reason.LOCK_UNKNOWN
