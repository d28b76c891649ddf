"""What an operator's rule may cut off: enough for every known prefix, nothing that a login would wait for."""

from __future__ import annotations

import pytest

from calock.core.policy import Policy, PolicyError
from calock.core.prefix import check_prefix, without_prefix


@pytest.mark.parametrize(
    ("prefix", "text", "rest"),
    [
        ("", "X1", "X1"),
        ("1@5013SF0", "1@5013SF0140101", "140101"),
        ("^JJ", "JJ77", "77"),
        (r"\d@\d{4}[A-Z]{2}\d", "1@5013SF0140101", "140101"),
        ("SF|SFZ-|^JG", "JG14", "14"),
        (r"1@[^@]*@", "1@ab@cd@", "cd@"),
        (r"[\]\-a-f]+\.?", "]-a.9", "9"),
        ("项目.", "项目-7", "7"),
        ("B", "A1", None),
    ],
)
def test_prefixes_that_are_taken(prefix: str, text: str, rest: str | None) -> None:
    check_prefix(prefix)
    assert without_prefix(prefix, text) == rest


@pytest.mark.parametrize(
    "prefix",
    [
        "(a+)+$", "(a|a)*b", "(?:a)", "(?=a)", r"(.)\1", r"\1", "a**", "a+?b+?", "a?" * 30 + "a" * 30, ".*.*.*x", "a{2,}b{,9}c*",
        "a$", "a^", "[", "[]", "[z-a]", "a{9}{9}", "*", r"\x41", r"\A", "a" * 201, "(", "\\", "a{1000}",
    ],
)  # fmt: skip
def test_patterns_that_could_run_away_or_are_none_are_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        check_prefix(prefix)
    with pytest.raises(PolicyError):
        Policy.from_json({"identity": {"lock": [{"source": "dn", "oid": "2.5.4.5", "prefix": prefix}]}})


@pytest.mark.parametrize("prefix", ["a*a*x", ".*.*x|" * 33, "a{0,256}a{0,256}x"])
def test_the_worst_that_is_taken_ends(prefix: str) -> None:
    check_prefix(prefix)
    assert without_prefix(prefix.rstrip("|"), "a" * 256) is None
