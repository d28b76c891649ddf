"""The status page's update section, on a real driver: it shows, and only the user's button installs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent.chromium import chromium, chromium_path
from agent.driving import DriverProcess, until
from agent.update_platform import Platform, manifest_text
from worlds.driver_packages import make_package

from calock.agent.status import address, ask_code

INSTALLER = b"import os, pathlib; pathlib.Path(os.environ['XDG_DATA_HOME'], 'installed').write_text('1')\n"


@pytest.fixture
def platform():
    made = Platform()
    yield made
    made.close()


@pytest.fixture
def driver(platform, tmp_path):
    """A driver whose installed package came from ``platform``."""
    kept = tmp_path / "data" / "calock-driver" / "packages" / "shanxi-huren"
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text(manifest_text(make_package(version="1.2.0", origins=[platform.origin])))
    with DriverProcess(tmp_path, environment={"XDG_DATA_HOME": str(tmp_path / "data")}) as driver:
        yield driver


def session(driver: DriverProcess) -> dict[str, str]:
    port_and_code = ask_code(driver.state)
    assert port_and_code
    told = driver.call("/status/session", {"code": port_and_code[1]}, origin=driver.address)
    return {"X-Calock-Session": told.json["session"]}


def own(driver: DriverProcess, path: str, message: dict, headers: dict[str, str]):
    return driver.call(path, message, origin=driver.address, **headers)


def marker(tmp_path: Path) -> Path:
    return tmp_path / "data" / "installed"


def test_showing_an_update_installs_nothing(driver, platform, tmp_path):
    platform.offer(make_package(version="1.3.0", files={"installer/__main__.py": INSTALLER}))
    mine = session(driver)
    (found,) = own(driver, "/status/updates", {}, mine).json["packages"]
    assert (found["version"], found["newer"], found["problem"]) == ("1.2.0", "1.3.0", "")
    assert platform.asked == ["/downloads/release/shanxi-huren/linux/x86_64/"]
    assert not marker(tmp_path).exists()


def test_the_button_installs_what_was_shown(driver, platform, tmp_path):
    platform.offer(make_package(version="1.3.0", files={"installer/__main__.py": INSTALLER}))
    mine = session(driver)
    assert own(driver, "/status/updates/install", {"code": "shanxi-huren"}, mine).reason == "NOT_FOUND"
    own(driver, "/status/updates", {}, mine)
    assert own(driver, "/status/updates/install", {"code": "../x"}, mine).reason == "NOT_FOUND"
    assert own(driver, "/status/updates/install", {"code": "shanxi-huren"}, mine).json == {"started": True}
    until(marker(tmp_path).exists, "the installer")


def test_only_the_status_page_may_ask(driver, platform):
    platform.offer(make_package(version="1.3.0"))
    for path in ("/status/updates", "/status/updates/install"):
        assert own(driver, path, {"code": "shanxi-huren"}, {"X-Calock-Session": "guess"}).reason == "SESSION_ENDED"
        assert driver.call(path, {}).status == 403  # a platform's page
    assert platform.asked == []


def test_a_platform_that_does_not_answer_is_said_so(driver, platform):
    (found,) = own(driver, "/status/updates", {}, session(driver)).json["packages"]
    assert (found["newer"], found["problem"]) == ("", "UPDATE_UNREACHABLE")


@pytest.mark.browser
@pytest.mark.skipif(not chromium_path(), reason="Chromium is not installed")
def test_the_page_shows_it_and_the_click_starts_it(driver, platform, tmp_path):
    platform.offer(make_package(version="1.3.0", files={"installer/__main__.py": INSTALLER}))
    found = ask_code(driver.state)
    assert found
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1366, "height": 768})
        page.goto(address(*found))
        page.get_by_text("有新版本 1.3.0").wait_for()
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if "CALOCK_SHOTS" in os.environ:
            page.set_viewport_size({"width": 1366, "height": 768})
            page.screenshot(path=os.environ["CALOCK_SHOTS"], full_page=True)
        assert not marker(tmp_path).exists()
        page.get_by_role("button", name="更新到 1.3.0").click()
        page.get_by_text("正在下载并安装").wait_for()
    until(marker(tmp_path).exists, "the installer")
