"""A page as people and browsers read it: text, elements, links."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from django.test import Client


class Page(HTMLParser):
    """One page as text, elements and links."""

    VOID = frozenset({"meta", "link", "img", "input", "br", "path", "rect", "circle", "ellipse"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline_scripts: list[str] = []
        self.pieces: list[str] = []
        self._open: list[str] = []
        self.html = html
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.elements.append((tag, {**values, "_inside": " ".join(self._open)}))
        if tag not in self.VOID:
            self._open.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "a" and "href" in values and not values["href"].startswith("tel:"):
            self.links.append(values["href"])
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.inline_scripts.append(html_of(values))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] not in ("script", "style", "title"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.pieces))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def html_of(attributes: dict[str, str]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def read(client: Client, path: str, status: int = 200) -> Page:
    response = client.get(path)
    assert response.status_code == status, (path, response.status_code)
    return Page(response.content.decode())
