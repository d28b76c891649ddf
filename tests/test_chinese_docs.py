"""The Chinese documents say what the English ones say: the same chapters, the same commands, tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAIRS = (("docs/operations.md", "docs/zh/operations.md"), ("README.md", "README.zh-CN.md"))


def chapters(text: str) -> list[str]:
    """Titles outside of commands; a Chinese one names the English one beside it."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^##+ (.+)$", outside, re.MULTILINE)
    return [found[1] if (found := re.search(r"<!-- (.+) -->", title)) else title for title in titles]


def commands(text: str) -> list[str]:
    """Lines of all blocks of commands, without what is said about them."""
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [re.split(r"(?:^|\s+)# ", line)[0].rstrip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_have_the_same_chapters_and_commands(english, chinese):
    one, other = ((ROOT / name).read_text("utf-8") for name in (english, chinese))
    assert chapters(one) == chapters(other)
    assert commands(one) == commands(other)


SITES = ("shanxi", "zcy")
SERVER = ROOT / "src" / "calock" / "server"


def manual(site: str) -> str:
    return (ROOT / "docs" / "zh" / f"user-{site}.md").read_text("utf-8")


@pytest.mark.parametrize("site", SITES)
def test_a_manual_names_what_stands_on_the_pages_of_its_site_and_shows_its_pictures(site):
    """【】 are the words of a button, menu or message: the site's own, or those of all sites."""
    pages = (SERVER / "sites" / site / "profile.toml").read_text("utf-8")
    pages += (SERVER / "locale" / "en" / "LC_MESSAGES" / "django.po").read_text("utf-8")
    named = set(re.findall("【(.+?)】", manual(site)))
    assert len(named) > 40
    assert not {words for words in named if words not in pages}
    pictures = re.findall(r"!\[.+\]\(\.\./(guide/pictures/(\w+)-.+\.png)\)", manual(site))
    assert len(pictures) >= 8
    assert {where for _, where in pictures} == {site}
    assert not [path for path, _ in pictures if not (ROOT / "docs" / path).exists()]


@pytest.mark.parametrize("site", SITES)
def test_a_manual_says_of_installing_and_failing_what_the_pages_say(site):
    text = manual(site)
    steps = re.findall(r'_\(\s*"(.+?)"\s*\)', (SERVER / "portal" / "install_guides.py").read_text("utf-8"))
    assert len(steps) > 10
    assert not [step for step in steps if step not in text]
    catalogue = (SERVER / "portal" / "failures.py").read_text("utf-8")
    common = re.findall(r'"(F\d\d)"', re.search(r"^COMMON = .+$", catalogue, re.MULTILINE)[0])
    rows = {code: f"| {code} | {cause} | {help_} |" for code, cause, help_ in re.findall(CAUSE, catalogue)}
    assert not [code for code in common if rows[code] not in text]


CAUSE = r'Failure\("(F\d\d)", _\("(.+?)"\), _\("(.+?)"\)'


def test_the_manuals_of_all_sites_have_the_same_chapters():
    assert {(SERVER / "sites" / site).is_dir() for site in SITES} == {True}
    assert chapters(manual("shanxi")) == chapters(manual("zcy"))


def test_each_row_of_the_compliance_page_has_a_state_and_its_tests_are_there():
    text = (ROOT / "docs" / "zh" / "compliance.md").read_text("utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|") and not line.startswith(("|---", "| 条款"))]
    assert len(rows) > 30
    for _, state, reason in rows:
        assert state.strip() in ("实现", "部分", "部署", "未实现")
        named = re.findall(r"`((?:tests|ops)/[^`]*)`", reason)
        assert all((ROOT / name).exists() for name in named), named
        assert state.strip() != "实现" or named or "make drill" in reason
