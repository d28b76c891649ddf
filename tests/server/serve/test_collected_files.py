"""Static files are collected when a server starts, and only then when they are not there already, each as it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from calock.server.web import static_files


@pytest.fixture
def collected(settings, tmp_path) -> Path:
    """Where a site with one script has its files collected."""
    settings.STATICFILES_DIRS = [("sites/hubei", tmp_path / "site")]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "calock.server.web.static_files.Storage"}}
    settings.STATIC_ROOT = tmp_path / "static"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.js").write_text("export const site = 'hubei';\n")
    (tmp_path / "site" / "emblem.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "static").mkdir()
    static_files.collect()
    return tmp_path / "static"


def scripts(collected: Path) -> dict[str, int]:
    """Names of the collected scripts, and which files they are."""
    return {path.name: path.stat().st_ino for path in collected.rglob("site.*.js")}


def test_what_is_there_and_right_is_not_made_again(collected):
    before = scripts(collected)
    assert len(before) == 1
    static_files.collect()
    assert scripts(collected) == before


def test_a_changed_source_is_collected_under_its_new_name(collected):
    before = scripts(collected)
    (collected.parent / "site" / "site.js").write_text("export const site = 'hunan';\n")
    static_files.collect()
    assert set(scripts(collected)) > set(before)


@pytest.mark.parametrize("name", ["site.*.js", "emblem.*.svg", "emblem.svg", "staticfiles.json"])
@pytest.mark.parametrize("damage", ["changed", "cut off", "missing"])
def test_a_damaged_file_is_made_again_at_the_next_start(collected, name, damage):
    (served,) = collected.rglob(name)
    original = served.read_bytes()
    if damage == "changed":
        served.write_bytes(b"send(pin)")
    elif damage == "cut off":  # the disk was full, or the power went away
        served.write_bytes(original[:9])
    else:
        served.unlink()
    static_files.collect()
    assert served.read_bytes() == original
