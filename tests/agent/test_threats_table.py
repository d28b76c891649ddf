"""docs/threats.md names a real test for each row B01 to B33."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "threats.md"


def test_each_row_names_tests_that_exist() -> None:
    text = TABLE.read_text("utf-8")
    rows = dict(re.findall(r"^\| (B\d\d) \|(.*)$", text, re.MULTILINE))
    assert sorted(rows) == [f"B{number:02}" for number in range(1, 34)]
    assert all("::test_" in row for row in rows.values())
    for file, test in re.findall(r"`(test_\w+\.py)::(test_\w+)`", text):
        assert f"def {test}(" in (HERE / file).read_text("utf-8"), f"{file}::{test}"
