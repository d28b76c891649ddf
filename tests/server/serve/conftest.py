"""A data directory on which a server starts at once: what it would do on an empty one was done once for all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from serving import prepare
from worlds.workers import made_once


@pytest.fixture
def data(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(made_once(tmp_path_factory, "served", prepare), tmp_path / "served")
