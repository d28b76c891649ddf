"""Every page that links reach and every form that they show, given what no form sends: an answer for people, never a traceback."""

from __future__ import annotations

import html
import random
import re
from urllib.parse import urljoin, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from hypothesis import settings
from worlds.browser import console_client

from calock.server.audit.sealing import seal_audit

HOSTILE = (
    "", " ", "\0", "a\0b", "\uffff", "\u202e\u200b", "😀" * 50, "9" * 400, "9" * 5000, "-1", "0", "1e309", "NaN",
    "2026-13-45", "0001-01-01",
    "9999-12-31T23:59", "9999-12-31", "{}", "[" * 2000, '{"a":' * 500, "' OR 1=1 --", "../../etc/passwd", "http://[::1",
    "http://127.0.0.1:99999/", "//evil", "<script>", "%00%ff", "A" * 70_000, "true", "null", "1.2.3." + "9" * 60, "on",
    "a\r\nSet-Cookie: a=b", "０１２", "١٢", "2.5.4.3=", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
LINK = re.compile(r'\bhref="([^"#]+)"')
FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)
FIELD = re.compile(r"<(?:input|select|textarea|button)\b([^>]*)>")
VALUE = re.compile(r'\b(\w+)="([^"]*)"')
ROUNDS = 6
SEEDS = range(max(1, settings.default.max_examples // 1000))
"""One, but five with ``--hypothesis-profile=search``."""
MOST_PAGES = 80


@pytest.fixture(autouse=True)
def _in_use(world) -> None:
    """With a trail that was sealed and CAs that are recognised 存证核验 judges what it is sent; without them it says 503."""
    seal_audit(at=timezone.now())


def attributes(text: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in VALUE.findall(text)}


class Crawler:
    """Follows links like a person, fills forms like an attacker; what ends his session is left out."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client, self.chance = client, random.Random(seed)
        self.forms: dict[tuple[str, str, tuple[str, ...]], dict[str, str]] = {}
        self.shapes: set[str] = set()

    def crawl(self, *starts: str) -> None:
        waiting = list(starts)
        while waiting and len(self.shapes) < MOST_PAGES:
            path = waiting.pop(0)
            shape = re.sub(r"[0-9a-f-]{36}|\d+", "*", urlsplit(path).path)
            if shape in self.shapes or not path.startswith("/") or "logout" in path or "/static/" in path:
                continue
            self.shapes.add(shape)
            answer = self.client.get(path)
            assert answer.status_code < 500, path
            if not answer.headers.get("Content-Type", "").startswith("text/html"):
                continue
            text = answer.content.decode()
            waiting += [urljoin(path, html.unescape(link)) for link in LINK.findall(text) if "://" not in link]
            for opening, inside in FORM.findall(text):
                form = attributes(opening)
                fields = [attributes(field) for field in FIELD.findall(inside)]
                values = {field["name"]: field.get("value", "") for field in fields if "name" in field}
                target = urljoin(path, form.get("action", "") or path)
                self.forms.setdefault((target, form.get("method", "get").lower(), tuple(sorted(values))), values)

    def attack(self) -> int:
        sent = 0
        for (target, method, _), values in sorted(self.forms.items()):
            if "logout" in target or "/sessions/end" in target or "language" in target:
                continue
            for turn in range(ROUNDS):
                bad = {
                    name: self.chance.choice(HOSTILE) if turn == 0 or self.chance.random() < 0.4 else value
                    for name, value in values.items()
                }
                if method == "get":
                    answer = self.client.get(target, bad)
                else:
                    if turn % 2:
                        name = self.chance.choice([*values, "certificate", "file"])
                        bad[name] = SimpleUploadedFile("a\u202e.der", self.chance.randbytes(300))  # type: ignore[assignment]
                    answer = self.client.post(target, bad)
                assert answer.status_code < 500, (target, bad)
                sent += 1
        return sent


@pytest.mark.parametrize("seed", SEEDS)
def test_operators_pages_answer_whatever_is_sent(world, seed: int) -> None:
    crawler = Crawler(console_client(world.first), seed)
    crawler.crawl("/console/trust/", "/console/accounts/account/add/", "/console/organisations/organisation/add/")
    assert len(crawler.shapes) > 15
    assert len(crawler.forms) > 10
    assert crawler.attack() > 60


@pytest.mark.parametrize("seed", SEEDS)
def test_members_pages_answer_whatever_is_sent(member, seed: int) -> None:
    crawler = Crawler(console_client(member), seed)
    crawler.crawl("/", "/apps/", "/system/ca/", "/sessions/", "/password/", "/login/")
    assert len(crawler.shapes) > 15
    crawler.attack()
