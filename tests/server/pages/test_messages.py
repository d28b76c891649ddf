"""Every Chinese sentence of the pages and notices has its English one, with the same places for values."""

from __future__ import annotations

import ast
import re

from babel.messages.pofile import read_po

from calock.server.sites.registry import SITES

PORTAL = SITES.parent / "portal"
VALUES = re.compile(r"\{\w+\}|%\(\w+\)[sd]")


def _used() -> set[str]:
    found: set[str] = set()
    for path in PORTAL.glob("templates/**/*.html"):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'{%\s*translate\s+"([^"]+)"', text))
        blocks = re.findall(r"{%\s*blocktranslate[^%]*%}(.*?){%\s*endblocktranslate", text, re.DOTALL)
        found |= {re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", block) for block in blocks}
    for path in PORTAL.parent.glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "gettext", "gettext_lazy"):
                argument = node.args[0]
                assert isinstance(argument, ast.Constant), f"{path}: only literal words can be translated"
                found.add(argument.value)
    return found


def _known() -> dict[str, str]:
    with (SITES.parent / "locale/en/LC_MESSAGES/django.po").open("rb") as source:
        return {message.id: message.string for message in read_po(source, locale="en") if message.id}


def test_every_sentence_has_its_english():
    known = _known()
    assert sorted(sentence for sentence in _used() if not known.get(sentence)) == []


def test_no_sentence_is_left_over():
    assert sorted(set(_known()) - _used()) == []


def test_values_have_the_same_names():
    for chinese, english in _known().items():
        assert sorted(VALUES.findall(chinese)) == sorted(VALUES.findall(english)), chinese
