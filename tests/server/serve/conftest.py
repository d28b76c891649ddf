"""A data directory on which a server starts at once: what it would do on an empty one was done once for all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from serving import prepare
from worlds import migrated
from worlds.workers import made_once


@pytest.fixture
def data(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(made_once(tmp_path_factory, "served", _serve_from), tmp_path / "served")


def _serve_from(folder: Path) -> None:
    folder.mkdir()
    migrated.put(folder / "calock.sqlite3")
    prepare(folder)
