"""A new user: from the portal's download page to a login with the lock, and back to a computer with nothing on it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from calock.agent.instance import read_running_instance
from calock.demo.keyring import lock
from journeys.people import Person, tail_of

OFFLINE = {
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "PIP_NO_INDEX": "1",
    "PIP_CONFIG_FILE": os.devnull,
}


@pytest.fixture
def home(person: Person, tmp_path: Path) -> Iterator[Path]:
    """A clean home directory, its USB ports (practice locks) and this platform's port said to a driver that is not there yet."""
    person.platform.stop_driver()
    settings = tmp_path / "home" / ".config" / "calock" / "agent.toml"
    settings.parent.mkdir(parents=True)
    locks = json.dumps(str(person.platform.place.locks))
    settings.write_text(f"soft_dir = {locks}\nport = {person.platform.driver_port}\n", "utf-8")
    yield tmp_path / "home"
    person.platform.start_driver()


def in_home(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    tools = home.parent / "tools"  # this Python and the system's programs: no version managers, which write into HOME
    tools.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (tools / "python3").symlink_to(Path(sys.executable).resolve())
    environment = {"HOME": str(home), "PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **OFFLINE}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def download(person: Person, folder: Path) -> Path:
    """S-04 … S-10: 办事指南 → 下载专区 → CA 证书申领 → 山西 CA 驱动下载 → 点击下载."""
    person.go("/")
    expect(person.page.get_by_role("banner")).to_contain_text("山西省政府采购网")
    person.picture("home")
    person.page.get_by_role("navigation", name="主导航").get_by_role("link", name="办事指南").click()
    person.page.get_by_role("link", name="下载专区", exact=True).first.click()
    person.page.get_by_role("link", name=re.compile("CA 证书申领")).first.click()
    expect(person.page.locator("main")).to_contain_text("山西 CA 驱动下载")
    person.picture("downloads")
    with person.page.expect_download() as coming:
        person.page.get_by_role("link", name="点击下载").first.click()
    arrived = coming.value
    assert re.fullmatch(r"山西互认驱动.*\.zip", arrived.suggested_filename)
    package = folder / arrived.suggested_filename
    arrived.save_as(package)
    person.page.get_by_text("校验值与更新内容").first.click()
    shown = person.page.locator("main").inner_text()
    assert hashlib.sha256(package.read_bytes()).hexdigest() in re.sub(r"\s", "", shown)
    assert hashlib.new("sm3", package.read_bytes()).hexdigest() in re.sub(r"\s", "", shown)
    return package


def test_from_the_download_page_to_a_login_and_back(person: Person, home: Path, tmp_path: Path) -> None:
    package = download(person, tmp_path)
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "unpacked")
    (script,) = (tmp_path / "unpacked").rglob("install.sh")

    waiting = person.page.context.new_page()
    waiting.goto(person.platform.address("shanxi", "/login/#ca"))
    device = waiting.locator("[data-ca-login] .state")
    expect(device).to_contain_text("CA 客户端驱动未安装, 请下载")
    installed = in_home(home, "sh", str(script))
    assert installed.returncode == 0, installed.stdout + installed.stderr
    try:
        expect(device).to_contain_text("检测完成")
        waiting.close()
        tail, pin = tail_of(person.platform, "p256"), lock("p256").pin
        person.log_in("cssbjgys02")
        person.bind(tail, pin)
        person.expect_bound()
        person.log_out()
        person.ca_login(tail, pin)
        person.expect_inside()
        person.log_out()
        person.enter("cssbjgys02")
        person.go("/system/ca/")
        person.unbind(person.page.locator("[data-list] tbody tr", has_text=tail))
        expect(person.page.locator("[data-list] tbody tr", has_text=tail)).to_have_count(0)
        note = read_running_instance(home / ".local" / "state" / "calock")
        assert note
    finally:
        removed = in_home(home, "sh", str(home / ".local" / "share" / "calock-driver" / "uninstall.sh"))
    assert removed.returncode == 0, removed.stdout + removed.stderr
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", note.port)) != 0
    left = [path for path in home.rglob("*") if path.is_file() and path.name != "agent.toml"]
    assert left == []


def test_the_other_site_offers_the_matching_driver(person: Person, tmp_path: Path) -> None:
    """Z-13: 在页面中找到匹配的驱动，进行下载."""
    person.site = "zcy"
    person.go("/")
    person.picture("home")
    expect(person.page.get_by_role("link", name="用户登录").first).to_be_visible()
    person.go("/downloads/")
    person.picture("downloads")
    with person.page.expect_download() as coming:
        person.page.get_by_role("link", name=re.compile("下载")).locator("visible=true").and_(
            person.page.locator("a[href*='/downloads/'][href$='/']:not([href='/downloads/'])")
        ).first.click()
    assert coming.value.suggested_filename.endswith(".zip")
    coming.value.save_as(tmp_path / "zcy.zip")
    with zipfile.ZipFile(tmp_path / "zcy.zip") as archive:
        assert archive.testzip() is None
