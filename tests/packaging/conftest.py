"""The real packages for this computer, built once per test run."""

from __future__ import annotations

import pytest
from worlds.built_packages import SYSTEM, run_build


@pytest.fixture(scope="session")
def built_packages(tmp_path_factory):
    """Folder with the three packages for this computer's system."""
    out = tmp_path_factory.mktemp("built") / "packages"
    done = run_build(out, "--only", SYSTEM)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def shanxi_package(built_packages):
    (package,) = built_packages.glob("山西互认驱动-*.zip")
    return package
