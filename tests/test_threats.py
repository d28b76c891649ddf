"""docs/threats.md names tests that exist, and the server has no address it says it has not."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs" / "threats.md"


def test_the_servers_rows_name_tests_that_exist() -> None:
    rows = re.findall(r"^\| (A\d\d)\b.*$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 30
    server = TABLE.read_text("utf-8").partition("## The server")[2]
    defined = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)\(", path.read_text("utf-8"), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", server)) <= defined
    for file in re.findall(r"`([\w/]+\.py)`", server):
        assert (TESTS / file).is_file(), file


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
