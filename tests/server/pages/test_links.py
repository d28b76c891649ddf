"""No dead end: from the home page of each site, for each kind of user, every link, file and fragment leads to something."""

from __future__ import annotations

from functools import cache, partial
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from worlds.browser import HOSTS, page_client
from worlds.manual import World
from worlds.page import Page

from calock.server.sites.registry import sites


def _static(page: Page) -> list[str]:
    sources = [element["src"] for name in ("img", "script") for element in page.all(name) if "src" in element]
    return sources + [element["href"] for element in page.all("link")]


def _walk(client: Client, site: str, *starts: str) -> tuple[dict[str, Page], list[str]]:
    """Every HTML page reachable by links, and what was wrong on the way."""
    origin = f"http://{HOSTS[site]}"
    seen: dict[str, Page] = {}
    wrong: list[str] = []
    waiting = [(start, "start") for start in starts]
    fragments: list[tuple[str, str, str]] = []
    known: set[str] = set()
    while waiting:
        path, source = waiting.pop()
        if path in known:
            continue
        known.add(path)
        response = client.get(path, follow=True)
        if response.status_code != 200:
            wrong.append(f"{source} -> {path}: {response.status_code}")
            continue
        if not response["Content-Type"].startswith("text/html"):
            assert response.getvalue(), path
            continue
        page = seen[path] = Page(response.content.decode())
        if path.startswith("/console/"):
            continue  # the console's own tests walk it
        for link in page.links:
            target, fragment = urldefrag(urljoin(origin + path, link))
            parts = urlsplit(target)
            if f"{parts.scheme}://{parts.netloc}" != origin:
                wrong.append(f"{path} -> {link}: leaves the site")
                continue
            local = parts.path + (f"?{parts.query}" if parts.query else "")
            waiting.append((local, path))
            if fragment:
                fragments.append((path, local, fragment))
    for source, path, fragment in fragments:
        page_there = seen.get(path)
        hashes = [element.get("data-hash") for _, element in page_there.elements] if page_there else []
        if page_there is not None and fragment not in page_there.ids and fragment not in hashes:
            wrong.append(f"{source} -> {path}#{fragment}: no such place")
    return seen, wrong


@pytest.mark.parametrize("site", sites())
@pytest.mark.parametrize("who", ["anonymous", "member", "admin", "operator"])
def test_every_link_leads_somewhere(world: World, site: str, who: str):
    account = None if who == "anonymous" else getattr(world, who)
    client = page_client(site, account)
    seen, wrong = _walk(client, site, "/", *(() if account is None else ("/apps/",)))
    assert not wrong
    assert len(seen) >= (15 if account is None else 22)
    files = {source.removeprefix("/static/") for page in seen.values() for source in _static(page)}
    assert [name for name in files if finders.find(name) is None] == []


TABS = ("ca", "account")
"""Of the login page, by which somebody who is logged in is led on."""


@pytest.mark.parametrize("site", sites())
def test_actions_of_every_refusal_lead_somewhere(world: World, site: str):
    from calock.server.web.refusals import catalogue  # noqa: PLC0415 - Django is set up by now

    client = page_client(site, world.admin)
    wrong = []
    get = cache(partial(client.get, follow=True))  # many refusals lead to the same page
    for reason, entry in catalogue().items():
        path, fragment = urldefrag(entry["action"]["href"])
        response = get(path)
        if response.status_code != 200:
            wrong.append(f"{reason}: {path} {response.status_code}")
        elif fragment and fragment not in TABS and fragment not in Page(response.content.decode()).ids:
            wrong.append(f"{reason}: {path}#{fragment}")
    assert not wrong


@pytest.mark.parametrize("path", ["/apps/", "/user-center/", "/system/", "/system/ca/", "/sessions/", "/password/"])
def test_pages_behind_the_login_send_a_stranger_to_it_and_back(world: World, path: str):
    response = page_client("shanxi").get(path)
    assert response.status_code == 302
    assert response["Location"].startswith("/login/?next=")
