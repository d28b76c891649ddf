"""docs/protocol.md names every purpose, and for each reason the one status that the driver answers with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calock.core.challenge import Purpose
from calock.core.refusals import Reason
from calock.wire.statuses import status_of

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")
ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| (\d{3}(?:, \d{3})*) \|", re.MULTILINE)


def documented() -> list[tuple[str, int]]:
    found = []
    for reasons, statuses in ROW.findall(PAGE):
        named, said = re.findall("[A-Z_]+", reasons), [int(status) for status in statuses.split(", ")]
        found += zip(named, said if len(said) == len(named) else said * len(named), strict=True)
    return found


def test_the_page_lists_what_an_answer_can_be_refused_with():
    assert {"PIN_WRONG", "PIN_LAST_TRY", "PIN_LOCKED", "LOCK_REMOVED", "MODULE_FAILED"} < {reason for reason, _ in documented()}


@pytest.mark.parametrize("row", ["| purpose |", "| `POST /api/challenge` |"])
def test_the_page_names_every_purpose_of_a_challenge(row):
    (line,) = (line for line in PAGE.splitlines() if line.startswith(row))
    assert [purpose for purpose in Purpose if purpose not in line] == []


@pytest.mark.parametrize(("reason", "status"), documented())
def test_the_status_on_the_page_is_the_one_that_is_sent(reason, status):
    assert status_of(Reason(reason)) == status


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_an_error_to_a_client_that_reads_the_status_alone(reason):
    assert 400 <= status_of(reason) <= 503
    assert status_of(reason) != 500 or reason is Reason.DRIVER_FAILED
