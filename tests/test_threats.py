"""docs/threats.md and docs/asvs.md name tests that exist, and the server has no address they say it has not."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "threats.md"
ASVS = TESTS.parent / "docs" / "asvs.md"


def defined_tests() -> set[str]:
    files = TESTS.rglob("test_*.py")
    return {name for path in files for name in re.findall(r"^ *def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)}


def test_the_servers_rows_name_tests_that_exist() -> None:
    rows = re.findall(r"^\| (A\d\d)\b.*$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 30
    server = TABLE.read_text("utf-8").partition("## The server")[2]
    assert set(re.findall(r"`(test_\w+)`", server)) <= defined_tests()
    for file in re.findall(r"`([\w/]+\.py)`", server):
        assert (TESTS / file).is_file(), file


def test_what_is_said_to_be_met_names_tests_files_and_pages_that_exist() -> None:
    text = ASVS.read_text("utf-8")
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \| .+ \| (\S.*?) \| (.+) \|$", text, re.MULTILINE)
    assert len(rows) == len({row[0] for row in rows}) > 290
    assert {state for _, state, _ in rows} == {"met", "n/a", "operator", "**not met**"}
    assert set(re.findall(r"`(test_\w+)`", text)) - defined_tests() == set()
    for file in re.findall(r"`(tests/[\w/]+\.py)`|\b(docs/[\w/-]+\.md)", text):
        assert (TESTS.parent / "".join(file)).is_file(), file


def test_nothing_takes_certificate_requests() -> None:
    """A32, A33: calock issues no certificates, so nothing of a request can be copied into one."""
    from django.urls import URLPattern, URLResolver, get_resolver  # noqa: PLC0415 - the settings are loaded by then

    def addresses(resolver: URLResolver, prefix: str = "") -> list[str]:
        found: list[str] = []
        for entry in resolver.url_patterns:
            text = prefix + str(entry.pattern)
            found += [text] if isinstance(entry, URLPattern) else addresses(entry, text)
        return found

    known = addresses(get_resolver())
    assert "api/login" in known
    assert not [address for address in known if re.search(r"csr|enrol|issue|pkcs10", address, re.IGNORECASE)]
