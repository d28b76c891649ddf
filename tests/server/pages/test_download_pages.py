"""The driver pages: what is recommended for which computer, and what each row tells."""

from __future__ import annotations

import pytest
from worlds.browser import LINUX, page_client
from worlds.manual import World
from worlds.page import read

from calock.server.downloads.models import DriverPackage
from calock.server.portal.packages import system_of

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "system"),
    [
        (LINUX, ("linux", "x86_64")),
        (WINDOWS, ("windows", "x86_64")),
        ("Mozilla/5.0 (X11; Linux aarch64) UOS", ("linux", "arm64")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", ("macos", "arm64")),
        ("Mozilla/5.0 (Linux; Android 15)", ("", "")),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148", ("", "")),
        ("", ("", "")),
    ],
)
def test_system_is_read_from_the_browsers_words(user_agent: str, system: tuple[str, str]):
    assert system_of(user_agent) == system


@pytest.mark.parametrize(("user_agent", "best"), [(LINUX, "linux"), (WINDOWS, "windows")])
def test_the_row_of_the_manual_is_for_this_computer(world: World, user_agent: str, best: str):
    page = page_client("shanxi").get("/guide/downloads/ca/", headers={"user-agent": user_agent}).content.decode()
    row = page.split("山西 CA 驱动下载", 1)[1].split("</article>", 1)[0]
    package = world.packages[best]
    for fact in (
        package.sha256,
        package.sm3,
        package.version,
        package.file_name,
        f"/downloads/{package.pk}/",
        "点击下载",
        "适合这台电脑",
    ):
        assert fact in row


@pytest.mark.parametrize("site", ["shanxi", "zcy"])
def test_the_package_for_this_computer_is_marked_on_every_download_page(world: World, site: str):
    for path in ("/guide/downloads/ca/", "/downloads/"):
        page = page_client(site).get(path).content.decode()
        assert "这里还没有可下载的驱动" not in page
        assert page.count("适合这台电脑") == 1, path


def test_each_site_offers_its_own_drivers_only(world: World):
    shanxi, zcy = read(page_client("shanxi"), "/downloads/").text, read(page_client("zcy"), "/downloads/").text
    assert "山西互认驱动" in shanxi
    assert "浙江天谷 CA 驱动" not in shanxi
    assert "浙江天谷 CA 驱动" in zcy
    assert "山西互认驱动" not in zcy


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("os=windows", 1),
        ("os=linux", 1),
        ("os=macos", 0),
        ("provider=zhejiang-tiangu", 1),
        ("provider=nobody", 2),
        ("os=<script>", 2),
    ],
)
def test_the_list_narrows_by_system_and_provider(world: World, query: str, shown: int):
    assert page_client("zcy").get(f"/downloads/?{query}").content.decode().count("<article") == shown


def test_without_a_published_driver_the_page_says_so(world: World):
    DriverPackage.objects.update(state="draft")
    for site, path in (("shanxi", "/guide/downloads/ca/"), ("zcy", "/downloads/")):
        assert "这里还没有可下载的驱动" in read(page_client(site), path).text
