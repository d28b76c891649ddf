"""What the command does when it cannot print as it would like to, or meets an error of its own: never a verdict that is none."""

from __future__ import annotations

import errno
import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest
from worlds.core_trust import AT, world

from calock.cli import explain, main
from calock.core.refusals import Reason

HELP = (["--help"], ["--version"], ["certificate", "--help"], ["certificate", "explain", "--help"], ["token", "explain", "--help"])


class Full(io.RawIOBase):
    """A device with no room left."""

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def question(tmp_path: Path) -> list[str]:
    """A lock with a Chinese holder, and its CA as the anchor: accepted."""
    (tmp_path / "lock.der").write_bytes(world().lock(common_name="测试单位 ü"))
    (tmp_path / "ca.der").write_bytes(world().ca.certificate)
    return ["certificate", "explain", str(tmp_path / "lock.der"), "--anchors", str(tmp_path / "ca.der"), "--at", AT.isoformat()]


NARROW = pytest.mark.parametrize("encoding", ["ascii", "cp1252", "gb18030", "utf-8"])


def printed(encoding: str, arguments: list[str]) -> tuple[int, str]:
    """Run with standard output and error in some encoding, strict about it, as pipes have it: exit status and what was printed."""
    octets = io.BytesIO()
    stream = io.TextIOWrapper(octets, encoding=encoding, errors="strict", write_through=True)
    with redirect_stdout(stream), redirect_stderr(stream):
        status = main(arguments)
    return status, octets.getvalue().decode(encoding)


@NARROW
def test_a_narrow_encoding_changes_no_answer(question: list[str], encoding: str) -> None:
    status, shown = printed(encoding, question)
    assert status == 0
    assert shown.rstrip().endswith("skipped)")
    assert ("测试单位" in shown) == (encoding in ("gb18030", "utf-8"))
    assert ("\\u6d4b\\u8bd5" in shown) == (encoding not in ("gb18030", "utf-8"))


@NARROW
def test_json_stays_json_in_a_narrow_encoding(question: list[str], encoding: str) -> None:
    status, shown = printed(encoding, [*question, "--json"])
    assert status == 0
    assert json.loads(shown)["certificate"]["subject"] == "C=CN, CN=测试单位 ü"


@NARROW
@pytest.mark.parametrize("arguments", [*HELP, ["nothing 无"]])
def test_help_in_a_narrow_encoding(arguments: list[str], encoding: str) -> None:
    status, shown = printed(encoding, arguments)
    assert status == (0 if arguments in HELP else 2)
    assert shown


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("arguments", [*HELP, [], ["--json"]])
def test_output_that_cannot_be_written_has_a_status_of_its_own(
    arguments: list[str],
    closed: bool,
    question: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = arguments if arguments in HELP else [*question, *arguments]
    monkeypatch.setattr(sys, "stdout", None if closed else io.TextIOWrapper(io.BufferedWriter(Full()), encoding="utf-8"))
    assert main(given) == 4
    said = capsys.readouterr().err
    assert said.startswith("calock: what was to be printed could not be written: ")
    assert said.count("\n") == 1
    monkeypatch.undo()


def test_without_standard_error_the_status_still_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.TextIOWrapper(io.BufferedWriter(Full()), encoding="utf-8")):
        monkeypatch.setattr(sys, "stderr", stream)
        assert main(["certificate", "explain", "nowhere.der"]) == 2
    monkeypatch.undo()


def test_closed_standard_input(question: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["certificate", "explain", "-", *question[3:]]) == 2
    assert capsys.readouterr().err == "calock certificate explain: cannot read -: standard input is closed\n"


@pytest.mark.parametrize("error", [ValueError("a\nb 11010519491231002X"), RecursionError(), MemoryError(), SimpleNamespace])
def test_an_error_of_our_own_is_no_refusal(
    error: object, question: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(*_: object) -> object:
        if isinstance(error, Exception):
            raise error
        return Reason  # no verdict at all

    monkeypatch.setattr(explain, "verify_certificate", judge)
    assert main(question) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("calock certificate explain: could not be judged, by an error of calock's own: ")
    assert shown.err.count("\n") == 1
    assert "19491231" not in shown.err
