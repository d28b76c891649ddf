"""One running platform and one Chromium for all journeys; a fresh browser context for each.

``CALOCK_SHOW=1`` opens the browser where it can be seen, and slows it down so that an eye can follow.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from agent.chromium import chromium_path
from playwright.sync_api import Browser, Playwright, sync_playwright

from calock.demo.ports import free_port
from calock.demo.run import USUAL_PORTS
from journeys.people import Person
from journeys.platform import Platform, prepare, running

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
SHOWN = os.environ.get("CALOCK_SHOW", "") == "1"
WIDE = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    root = tmp_path_factory.mktemp("world") / "data"
    prepare(root)
    with running(root, tmp_path_factory.mktemp("tokens"), port=free_port(*USUAL_PORTS)) as found:  # the packages allow no others
        yield found


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Closed after the last journey: while it is open this thread has an event loop, over which other tests would trip."""
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    path = chromium_path(whole=SHOWN)
    assert path, "these tests need Chromium"
    found = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), headless=not SHOWN, slow_mo=400 if SHOWN else 0)
    yield found
    found.close()


_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


@pytest.fixture
def person(browser: Browser, platform: Platform, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    """Somebody at a computer with a wide screen, reading Chinese. A failed journey leaves a picture of what was seen last."""
    context = browser.new_context(viewport=WIDE, locale="zh-CN", accept_downloads=True)
    found = Person(context.new_page(), platform)
    yield found
    if request.node.stash.get(_failed, False):
        found.page.screenshot(path=tmp_path / "last.png")
        driver = (platform.place.logs / "driver.log").read_text("utf-8", "replace")
        seen = found.page.locator("body").inner_text()[:1500]
        print(found.page.url, tmp_path / "last.png", seen, driver[-1500:], sep="\n")  # noqa: T201 - pytest shows it with the failure
    context.close()


@pytest.fixture
def pictures() -> Path:
    """Where the user guide keeps its pictures; written only when CALOCK_PICTURES is set, see ``Person.picture``."""
    return Path(__file__).resolve().parents[2] / "docs" / "guide" / "pictures"
