"""What a stranger installs: the wheel has everything in it, and an installed calock makes that very wheel again."""

from __future__ import annotations

import gettext
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from worlds.built_packages import REPOSITORY, own_wheel

SOURCE = REPOSITORY / "src"


@pytest.fixture(scope="module")
def wheel():
    with zipfile.ZipFile(own_wheel()) as opened:
        yield opened


def test_every_file_of_the_source_is_in_the_wheel(wheel):
    """Site and vendor folders, templates, scripts, styles, the driver package builder, the mark of a typed package."""
    listed = subprocess.run(["git", "ls-files", "."], cwd=SOURCE, capture_output=True, text=True, check=True).stdout
    wanted = {line for line in listed.splitlines() if not line.startswith('"')}
    assert {"calock/py.typed", "calock/packages/driver.lock", "calock/server/sites/zcy/profile.toml"} <= wanted
    assert not wanted - set(wheel.namelist())


def test_english_pages_are_english_from_the_wheel(wheel):
    compiled = wheel.read("calock/server/locale/en/LC_MESSAGES/django.mo")
    words = gettext.GNUTranslations(io.BytesIO(compiled))
    assert words.gettext("帮助中心") == "Help centre"


MAKE = """
import sys; from pathlib import Path; from calock.packages.own import own_wheel
print(own_wheel(Path(sys.argv[1]), 1767225600))
"""


def test_an_installed_calock_puts_its_wheel_together_again(wheel, tmp_path):
    installed = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-compile", "--target", str(installed), wheel.filename], check=True, capture_output=True)

    def made(folder: Path) -> subprocess.CompletedProcess[str]:
        environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
        run = [sys.executable, "-c", MAKE, str(folder)]
        return subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = made(tmp_path / "again")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(done.stdout.strip()) as again:
        (record,) = (name for name in again.namelist() if name.endswith("/RECORD"))
        assert set(again.namelist()) == set(wheel.namelist())
        assert all(again.read(name) == wheel.read(name) for name in again.namelist() if name != record)
    subprocess.run([*install, "--target", str(tmp_path / "twice"), done.stdout.strip()], check=True)
    (installed / "calock" / "wire" / "driver.py").write_text("changed = True\n")
    done = made(tmp_path / "third")
    assert done.returncode
    assert "calock/wire/driver.py is not as its wheel brought it" in done.stderr
