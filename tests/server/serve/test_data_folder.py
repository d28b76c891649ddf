"""``CALOCK_DATA`` is for its owner alone, however it was found (SEC16a)."""

from __future__ import annotations

import stat

import pytest

from calock.server.process.config import ConfigError, read_config


@pytest.fixture
def folder(tmp_path, monkeypatch):
    data = tmp_path / "data"
    monkeypatch.setenv("CALOCK_DATA", str(data))
    monkeypatch.setenv("CALOCK_SECRET_KEY", "x" * 40)
    return data


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_is_made_is_closed(folder):
    read_config()
    assert mode(folder) == 0o700


@pytest.mark.parametrize("found", [0o755, 0o750, 0o777, 0o701])
def test_an_empty_folder_that_others_may_enter_is_closed(folder, found):
    """As systemd's StateDirectory makes it."""
    folder.mkdir()
    folder.chmod(found)
    read_config()
    assert mode(folder) == 0o700


def test_a_folder_with_our_data_in_it_is_closed(folder):
    folder.mkdir()
    (folder / "calock.sqlite3").touch()
    folder.chmod(0o755)
    read_config()
    assert mode(folder) == 0o700


def test_a_folder_of_something_else_is_refused_and_left_alone(folder):
    folder.mkdir()
    (folder / "passwd").touch()
    folder.chmod(0o755)
    with pytest.raises(ConfigError, match="which other users may read"):
        read_config()
    assert mode(folder) == 0o755


def test_a_folder_that_cannot_be_closed_is_refused(folder, monkeypatch):
    folder.mkdir()
    folder.chmod(0o755)

    def denied(*_args):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.chmod", denied)
    with pytest.raises(ConfigError, match="Operation not permitted"):
        read_config()
