"""What ``make packages`` builds: the same bytes every time, signed, whole, with every licence."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile

import pytest
from worlds.built_packages import EPOCH, REPOSITORY, SYSTEM, run_build
from worlds.driver_packages import package_key, public

from calock.packages.own import own_wheel as make_own_wheel
from calock.wire.package import inspect

LOCK = tomllib.loads((REPOSITORY / "src" / "calock" / "packages" / "driver.lock").read_text("utf-8"))


def names(package):
    with zipfile.ZipFile(package) as opened:
        return {name.partition("/")[2] for name in opened.namelist()}


def read(package, name):
    with zipfile.ZipFile(package) as opened:
        folder = opened.namelist()[0].partition("/")[0]
        return opened.read(f"{folder}/{name}")


def test_three_packages_for_this_system(built_packages):
    found = {path.name for path in built_packages.glob("*.zip")}
    assert {name.partition("-")[0] for name in found} == {"山西互认驱动", "政采云CA互认驱动", "浙江天谷CA驱动"}
    assert all(name.endswith(f"-{SYSTEM}.zip") for name in found)


def test_built_twice_gives_the_same_bytes(built_packages, tmp_path):
    """Calock's own wheel too; one package, since the three differ in their settings alone."""
    again = tmp_path / "packages"
    own_wheel = str(make_own_wheel(tmp_path / "own", int(EPOCH)))
    done = run_build(again, "--only", SYSTEM, "--only", "shanxi-huren", "--own-wheel", own_wheel)
    assert done.returncode == 0, done.stderr
    (path,) = again.glob("*.zip")
    assert path.read_bytes() == (built_packages / path.name).read_bytes()


def test_the_server_takes_what_is_built(shanxi_package):
    with shanxi_package.open("rb") as file:
        found = inspect(file, [public(package_key())])
    assert found.manifest.code == "shanxi-huren"
    assert "http://shanxi.localhost:8000" in found.manifest.origins
    assert not any("zcy" in origin for origin in found.manifest.origins)
    assert found.manifest.released == "2026-01-01T00:00:00Z"
    assert shanxi_package.name == found.manifest.file_name


def test_wheels_are_those_of_the_lock_for_every_python(shanxi_package):
    inside = {name.removeprefix("wheels/") for name in names(shanxi_package) if name.startswith("wheels/")}
    assert set(LOCK[SYSTEM]) < inside
    (own,) = inside - set(LOCK[SYSTEM])
    assert own.startswith("calock-")
    for minor in (11, 12, 13, 14):
        assert any(f"-cp3{minor}-" in name and name.startswith("cffi") for name in inside)


def test_every_wheel_comes_with_its_licence(shanxi_package):
    inside = names(shanxi_package)
    listed = read(shanxi_package, "licences/list.txt").decode()
    for wheel in (name for name in inside if name.startswith("wheels/")):
        project = re.sub(r"[-_.]+", "-", wheel.removeprefix("wheels/").split("-")[0]).lower()
        lines = [line for line in listed.splitlines() if re.sub(r"[-_.]+", "-", line.split(" ")[0]).lower() == project]
        assert lines, wheel
    texts = {
        name.split("/")[1].rsplit("-", 1)[0].lower() for name in inside if name.startswith("licences/") and name.count("/") == 2
    }
    assert {"cryptography", "calock", "starlette", "uvicorn", "python-pkcs11", "cffi", "msgspec"} <= texts


def test_nothing_of_the_machine_that_built_it_is_inside(shanxi_package):
    text = read(shanxi_package, "manifest.json").decode()
    assert str(REPOSITORY) not in text
    for name in ("install.sh", "uninstall.sh", "安装说明.txt"):
        assert str(REPOSITORY) not in read(shanxi_package, name).decode("utf-8-sig")


@pytest.mark.parametrize("system", ["windows-x86_64", "macos-arm64", "linux-arm64"])
def test_the_lock_has_wheels_for_every_system(system):
    """Other systems' packages are built by the same code; here their wheels are checked by name only."""
    wheels = LOCK[system]
    tag = {"windows-x86_64": "win_amd64", "macos-arm64": "macosx", "linux-arm64": "aarch64"}[system]
    for project in ("cryptography", "cffi", "msgspec", "python_pkcs11"):
        own = [name for name in wheels if name.startswith(project + "-")]
        assert own
        assert all(tag in name for name in own)
    assert ("colorama-0.4.6-py2.py3-none-any.whl" in wheels) == (system == "windows-x86_64")


def test_an_operators_settings_and_key(tmp_path):
    """A deployment's own origins go in; a wrong one stops the build."""
    settings = tmp_path / "settings.toml"
    settings.write_text('[sites.shanxi]\norigins = ["https://login.example.gov.cn"]\n')
    done = run_build(tmp_path / "packages", "--only", SYSTEM, "--only", "shanxi-huren", "--settings", str(settings))
    assert done.returncode == 0, done.stderr
    (package,) = (tmp_path / "packages").glob("*.zip")
    assert json.loads(read(package, "manifest.json"))["origins"] == ["https://login.example.gov.cn"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[sites.shanxi]\norigins = ["http://login.example.gov.cn"]\n', "only https"),
        ('[sites.shanxi]\norigins = ["https://login.example.gov.cn/"]\n', "exactly as"),
        ("[sites.zcy]\norigins = []\n", "no origin of shanxi"),
        ("nonsense", "settings.toml"),
    ],
)
def test_unusable_settings(tmp_path, text, says):
    settings = tmp_path / "settings.toml"
    settings.write_text(text)
    done = run_build(tmp_path / "packages", "--only", SYSTEM, "--only", "shanxi-huren", "--settings", str(settings))
    assert done.returncode == 1
    assert says in done.stderr
    assert not list((tmp_path / "packages").glob("*.zip"))


OWN = """
code = "jinan"
name = "济南 CA"
short_name = "济南 CA"

[libraries.pkcs11]
linux = ["libjinan_p11.so"]

[product]
title = "济南互认驱动"
sites = ["jinan"]
providers = ["jinan"]
"""


def own_vendor(folder, text=OWN):
    (folder / "jinan").mkdir(parents=True)
    (folder / "jinan" / "vendor.toml").write_text(text, "utf-8")
    return folder


def test_an_operators_own_vendor_gets_a_package_that_looks_for_its_libraries(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('[sites.jinan]\norigins = ["https://ca.jinan.example"]\n')
    more = ("--vendors", str(own_vendor(tmp_path / "vendors")), "--settings", str(settings))
    done = run_build(tmp_path / "packages", "--only", SYSTEM, "--only", "jinan", *more)
    assert done.returncode == 0, done.stderr
    (package,) = (tmp_path / "packages").glob("济南互认驱动-*.zip")
    manifest = json.loads(read(package, "manifest.json"))
    assert (manifest["code"], manifest["origins"]) == ("jinan", ["https://ca.jinan.example"])
    assert manifest["modules"] == {"find_skf": True, "find_pkcs11": True, "pkcs11_names": ["libjinan_p11.so"]}


def test_a_vendor_folder_that_makes_no_sense_stops_the_build(tmp_path):
    vendors = own_vendor(tmp_path / "vendors", OWN.replace("libjinan_p11.so", "/tmp/libjinan_p11.so"))
    done = run_build(tmp_path / "packages", "--only", SYSTEM, "--vendors", str(vendors))
    assert done.returncode == 1
    assert "jinan/vendor.toml" in done.stderr
    assert "libraries.pkcs11.linux" in done.stderr


def test_a_wheel_that_is_not_the_locked_one_stops_the_build(tmp_path):
    """A mirror that serves something else: pip refuses it by its hash, and nothing is built."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in LOCK[SYSTEM]:
        kept = REPOSITORY / "build" / "wheels" / name
        (wheels / name).write_bytes(kept.read_bytes())
    victim = next(name for name in LOCK[SYSTEM] if name.startswith("h11"))
    (wheels / victim).write_bytes(b"something else")
    done = run_build(tmp_path / "packages", "--only", SYSTEM, "--wheels", str(wheels), offline=True)
    assert done.returncode == 1
    assert not list((tmp_path / "packages").glob("*.zip"))
