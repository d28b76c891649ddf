"""What is printed about a verdict: every key of the JSON is on the page, and nothing that was left out passes in silence."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conformance.suite_cases import calock
from worlds.core_trust import AT, CHALLENGE, ORIGIN, World, world
from worlds.responses import ocsp_answer

from calock.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `([a-z_.0-9]+)` \| ([a-z ]+) \|", PAGE, re.MULTILINE))
TYPES: dict[type, str] = {bool: "boolean", str: "text", int: "whole number", dict: "object", list: "list", type(None): "null"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    here = world()
    files = {
        "root.der": here.root.certificate, "ca.der": here.ca.certificate, "lock.der": here.lock(), "damaged.der": b"\x30\x03abc",
        "root.crl": here.crls()[0], "ca.crl": here.crls()[1], "revoked.crl": here.crls(4242)[1], "garbage": b"garbage",
        "other.ocsp": answer(here, 17), "leaf.ocsp": answer(here, 4242), "policy.json": b'{"key_usage_required": false}',
    }  # fmt: skip
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def answer(here: World, serial: int) -> bytes:
    return ocsp_answer(here.ca, serial, "good", this_update=AT - timedelta(minutes=1), next_update=AT + timedelta(hours=1))


def arguments(place: Path, *given: str, file: str = "lock.der") -> list[str]:
    named = [str(place / item) if (place / item).exists() else item for item in (file, *given)]
    trust = ["--anchors", str(place / "root.der"), "--intermediates", str(place / "ca.der")]
    return ["certificate", "explain", *named, *trust, "--at", AT.isoformat()]


def report_of(place: Path, *given: str, file: str = "lock.der") -> dict[str, Any]:
    _, report, said = calock(*arguments(place, *given, file=file), "--json")
    assert report is not None, said
    return report


def _kinds(value: object, name: str) -> Iterator[tuple[str, str]]:
    """(key, type) of everything in a report."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _kinds(inner, f"{name}.{key}" if name else key)
    if not isinstance(value, list):
        yield name, TYPES[type(value)]
        return
    inside = {TYPES[type(item)] for item in value}
    assert len(inside) <= 1, name
    yield name, f"list of {inside.pop()}s" if inside else "list"
    for item in value:
        if isinstance(item, dict):
            yield from _kinds(item, name)


def test_the_page_names_every_key_with_its_types(place: Path) -> None:
    cases = [(["--crl", "root.crl", "ca.crl"], "lock.der"), (["--crl", "root.crl", "revoked.crl"], "lock.der"),
             (["--crl", "garbage"], "lock.der"), ([], "damaged.der"), ([], "root.der"), ([], "lock.der"),
             (["--only", "profile"], "lock.der")]  # fmt: skip
    found: dict[str, set[str]] = {}
    for given, file in cases:
        for key, kind in _kinds(report_of(place, *given, file=file), ""):
            found.setdefault(key, set()).add(kind)
    found.pop("")
    assert list(dict.fromkeys(ROWS)) == [key for key in ROWS if key in found]
    assert set(found) == set(ROWS)
    for key, kinds in found.items():
        allowed = set(ROWS[key].split(" or "))
        assert kinds - {"list"} <= allowed or kinds <= {"list of objects", "object", "list"}, key
        assert "null" in kinds or "null" not in allowed or key.startswith("certificate."), key


@pytest.mark.parametrize(
    ("only", "left_out"),
    [("profile", "gate, path, revocation, identity"), ("gate,path,profile", "revocation, identity"),
     ("identity,revocation,path,gate,profile", "")],
)  # fmt: skip
def test_what_was_not_asked_is_said(place: Path, only: str, left_out: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_of(place, "--only", only)["steps"] == [
        step for step in ("gate", "path", "revocation", "profile", "identity") if step in only.split(",")
    ]
    assert main(arguments(place, "--only", only)) == 0
    last = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert last.startswith("accepted")
    assert last.partition("left out: ")[2].rstrip(")") == left_out


def test_data_that_could_not_be_used_are_said_where_others_suffice(place: Path) -> None:
    (place / "bundle.crl").write_bytes(b"".join(_pem((place / name).read_bytes()) for name in ("ca.crl", "garbage")))
    report = report_of(place, "--crl", "root.crl", "bundle.crl", "garbage", "--ocsp", "lock.der")
    assert report["accepted"]
    said = [note.partition(": REVOCATION_UNTRUSTED: ")[0] for note in report["notes"]]
    assert said == [f"CRL {place / 'garbage'} was not used", f"OCSP response {place / 'lock.der'} was not used"]
    other = report_of(place, "--crl", "root.crl", "bundle.crl")
    assert [note.partition(" was")[0] for note in other["notes"]] == [f"CRL {place / 'bundle.crl'}, number 2"]


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n"


def test_data_about_another_certificate_are_not_called_absent(place: Path) -> None:
    report = report_of(place, "--crl", "root.crl", "--ocsp", "other.ocsp")
    assert (report["reason"], report["detail"]) == (
        "REVOCATION_UNAVAILABLE", "no revocation data at hand are about this certificate",
    )  # fmt: skip
    assert report_of(place, "--crl", "root.crl", "--ocsp", "leaf.ocsp")["accepted"]


def test_the_purposes_that_were_wanted_and_found_are_named(place: Path) -> None:
    (place / "policy.json").write_text('{"ekus": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4"]}')
    report = report_of(place, "--policy", "policy.json", "--only", "profile")
    assert (report["reason"], report["detail"]) == (
        "EXTENDED_KEY_USAGE",
        (
            "its extendedKeyUsage is for 1.3.6.1.5.5.7.3.2, "
            "and one of 1.3.6.1.5.5.7.3.1, 1.3.6.1.5.5.7.3.4 is wanted (by the rule ekus)"
        ),
    )


@pytest.mark.parametrize("command", ["certificate", "token"])
def test_the_usage_line_names_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "explain", "--help"]) == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    listed = set(re.findall(r"^  (?:-h, )?(--[a-z]+)", rest, re.MULTILINE)) - {"--help"}
    assert listed == set(re.findall(r"--[a-z]+", usage))
    assert usage.startswith(
        "usage: calock certificate explain FILE --anchors" if command == "certificate" else "usage: calock token"
    )


def test_a_file_at_the_end_belongs_to_the_list_before_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["certificate", "explain", "--anchors", str(place / "root.der"), str(place / "lock.der")]) == 2
    assert "FILE (it goes before --anchors and the other lists of files)" in capsys.readouterr().err


def test_tokens_have_steps_too(place: Path) -> None:
    given = ["--anchors", str(place / "root.der"), "--origin", ORIGIN, "--challenge", CHALLENGE, "--only", "gate,profile"]
    _, report, _ = calock("token", "explain", *given, "--json", stdin=b"{}")
    assert report is not None
    assert report["steps"] == ["token", "gate", "signature", "profile"]
