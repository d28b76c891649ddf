"""The key that everything kept secret rests on: made once, whole, readable by its owner alone."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from calock.server.process.config import ConfigError, read_config


@pytest.fixture
def no_key(monkeypatch):
    for name in ("CALOCK_SECRET_KEY", "CALOCK_SECRET_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_processes_that_start_together_agree_on_one_key(no_key, tmp_path):
    barrier = Barrier(8)

    def start(_: int) -> str:
        barrier.wait()
        return read_config().secrets[0]

    with ThreadPoolExecutor(8) as pool:
        for turn in range(40):
            place = tmp_path / str(turn)
            no_key.setenv("CALOCK_DATA", str(place))
            (key,) = set(pool.map(start, range(8)))
            assert (place / "secret.key").read_text() == key
            assert [path.name for path in place.iterdir()] == ["secret.key"]


def test_the_key_is_its_owners_alone_and_stays(no_key, tmp_path):
    no_key.setenv("CALOCK_DATA", str(tmp_path))
    first = read_config().secrets
    assert stat.S_IMODE(Path(tmp_path / "secret.key").stat().st_mode) == 0o600
    assert read_config().secrets == first


def test_several_secrets_stand_on_a_line_each_the_newest_first(no_key, tmp_path):
    no_key.setenv("CALOCK_DATA", str(tmp_path))
    newest, older = "n" * 40, "o" * 40
    (tmp_path / "secret.key").write_text(f"{newest}\n\n{older}\n")
    assert read_config().secrets == (newest, older)
    (tmp_path / "secret.key").write_text(f"{newest}\nshort\n")
    with pytest.raises(ConfigError, match="on a line each"):
        read_config()
