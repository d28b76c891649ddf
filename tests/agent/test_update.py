"""B20: the update channel. One fixed origin, one key, never back, nothing without the user's word."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from agent.update_platform import Platform, manifest_text
from worlds.driver_packages import make_package, package_key

from calock.agent import update
from calock.core.refusals import Reason, Refusal
from calock.wire.package import parse_manifest


@pytest.fixture
def platform():
    made = Platform()
    yield made
    made.close()


def manifest_of(package: bytes):
    with zipfile.ZipFile(io.BytesIO(package)) as opened:
        return parse_manifest(opened.read(opened.namelist()[0].partition("/")[0] + "/manifest.json"))


@pytest.fixture
def installed(platform):
    return manifest_of(make_package(version="1.2.0", origins=[platform.origin]))


def refused(call, *arguments, **named) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call(*arguments, **named)
    return caught.value


def test_a_newer_signed_version_is_found_and_nothing_is_fetched(platform, installed):
    platform.offer(make_package(version="1.3.0"))
    found = update.check(installed)
    assert found is not None
    assert found.offered.version == "1.3.0"
    assert platform.asked == ["/downloads/release/shanxi-huren/linux/x86_64/"]


@pytest.mark.parametrize("version", ["1.2.0", "1.1.9", "0.9.0", "1.2"])
def test_it_never_goes_back(platform, installed, version):
    platform.offer(make_package(version=version))
    assert update.check(installed) is None


def test_a_stranger_signs_for_nobody(platform, installed):
    platform.offer(make_package(version="9.0.0", key=package_key("stranger")))
    assert refused(update.check, installed).reason is Reason.PACKAGE_REFUSED


def test_an_unsigned_manifest(platform, installed):
    platform.offer(make_package(version="9.0.0"), signature="")
    assert refused(update.check, installed).reason is Reason.PACKAGE_REFUSED


def test_a_changed_manifest(platform, installed):
    good = make_package(version="1.3.0")
    platform.offer(good, manifest=manifest_text(good).replace("1.3.0", "1.4.0"))
    assert refused(update.check, installed).reason is Reason.PACKAGE_REFUSED


@pytest.mark.parametrize("other", [{"code": "zcy-huren"}, {"os": "windows"}, {"arch": "arm64"}])
def test_another_package_is_no_update(platform, installed, other):
    platform.offer(make_package(version="9.0.0", **other))
    assert "another package" in refused(update.check, installed).detail


@pytest.mark.parametrize(
    "path", ["https://evil.example/x", "//evil.example/x", "@evil.example/", "/a b", "/\\evil", "", "/x\r\nHost: y"]
)
def test_the_file_lies_on_the_same_origin(platform, installed, path):
    platform.offer(make_package(version="1.3.0"))
    status, headers, body = platform.answers["/downloads/release/shanxi-huren/linux/x86_64/"]
    changed = json.dumps(json.loads(body) | {"path": path}).encode()
    platform.answers["/downloads/release/shanxi-huren/linux/x86_64/"] = (status, headers, changed)
    assert refused(update.check, installed).reason is Reason.PACKAGE_REFUSED


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(platform, installed, status):
    elsewhere = Platform()
    try:
        elsewhere.offer(make_package(version="9.0.0"))
        where = elsewhere.origin + "/downloads/release/shanxi-huren/linux/x86_64/"
        platform.answers["/downloads/release/shanxi-huren/linux/x86_64/"] = (status, {"Location": where}, b"")
        assert refused(update.check, installed).reason is Reason.UPDATE_UNREACHABLE
        assert elsewhere.asked == []
    finally:
        elsewhere.close()


@pytest.mark.parametrize(
    "origin", ["http://www.example.gov.cn", "ftp://127.0.0.1", "file:///etc/passwd", "https://www.example.gov.cn/x"]
)
def test_only_https_or_this_computer_is_asked(origin):
    asked = []
    manifest = manifest_of(make_package(origins=[origin]))
    assert refused(update.check, manifest, fetch=asked.append).reason is Reason.PACKAGE_REFUSED
    assert asked == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"[]", b"{}", b"\xff\xfe", b'{"manifest":1}', b"[" * 100_000])
def test_an_answer_that_is_no_release(platform, installed, body):
    platform.answers["/downloads/release/shanxi-huren/linux/x86_64/"] = (200, {}, body)
    assert refused(update.check, installed).reason is Reason.PACKAGE_REFUSED


def test_a_platform_that_cannot_be_reached(platform, installed):
    platform.close()
    assert refused(update.check, installed).reason is Reason.UPDATE_UNREACHABLE
    platform.close = lambda: None


def test_installing_fetches_checks_unpacks_and_runs_the_installer(platform, installed, tmp_path, monkeypatch):
    monkeypatch.setattr(update.tempfile, "tempdir", str(tmp_path))
    package = make_package(version="1.3.0", files={"installer/__main__.py": b"", "wheels/a.whl": b"a"})
    platform.offer(package)
    found = update.check(installed)
    assert found is not None
    seen = {}

    def run(command: list[str]) -> int:
        folder = Path(command[-2]).parent
        seen["files"] = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        seen["command"] = command
        return 0

    assert update.install(found, run=run) == 0
    assert seen["files"] == ["installer/__main__.py", "manifest.json", "manifest.sig", "wheels/a.whl"]
    assert seen["command"][1:3] == ["-I", "-B"]
    assert seen["command"][-1] == "--discard"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("swap", ["another version", "a byte", "cut off", "larger", "stranger", "error"])
def test_a_file_that_is_not_what_was_offered_is_not_run(platform, installed, tmp_path, monkeypatch, swap):
    monkeypatch.setattr(update.tempfile, "tempdir", str(tmp_path))
    good = make_package(version="1.3.0")
    platform.offer(good)
    found = update.check(installed)
    assert found is not None
    bad = {
        "another version": make_package(version="1.2.9", changes="x" * 4),
        "a byte": good.replace(b"wheel" * 1000, b"wheeL" * 1000),
        "cut off": good[:-1],
        "larger": good + b"x",
        "stranger": make_package(version="1.3.0", key=package_key("stranger")),
        "error": good,
    }[swap]
    platform.answers["/downloads/x/"] = (500 if swap == "error" else 200, {}, bad)
    ran = []
    refusal = refused(update.install, found, run=lambda command: ran.append(command) or 0)
    assert refusal.reason is (Reason.UPDATE_UNREACHABLE if swap == "error" else Reason.PACKAGE_REFUSED)
    assert ran == []
    assert list(tmp_path.iterdir()) == []


def test_installed_packages_are_read_from_where_the_installer_keeps_them(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(update.sys, "platform", "linux")
    kept = tmp_path / "calock-driver" / "packages" / "shanxi-huren"
    kept.mkdir(parents=True)
    (kept / "manifest.json").write_text(manifest_text(make_package(version="1.2.0")))
    broken = tmp_path / "calock-driver" / "packages" / "broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    assert [manifest.version for manifest in update.installed_packages()] == ["1.2.0"]
