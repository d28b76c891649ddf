"""Addresses of databases as libpq takes them."""

from __future__ import annotations

import pytest

from calock.server.process.config import read_config
from calock.server.process.database import settings_of


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://u:p%40x@h1:5432,h2:5433/calock?target_session_attrs=read-write", "h1,h2", "5432,5433"),
        ("postgresql://u:p%40x@h1,h2/calock?target_session_attrs=read-write", "h1,h2", "5432,5432"),
        ("postgresql://u:p%40x@[2001:db8::1]:5432,h2/calock?target_session_attrs=read-write", "2001:db8::1,h2", "5432,5432"),
    ],
)
def test_several_hosts_are_tried_in_turn(monkeypatch, tmp_path, url, host, port):
    monkeypatch.setenv("CALOCK_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", url)
    found = settings_of(read_config().database_url, 10)
    assert (found["NAME"], found["USER"], found["PASSWORD"]) == ("calock", "u", "p@x")
    assert (found["OPTIONS"]["host"], found["OPTIONS"]["port"]) == (host, port)
    assert found["OPTIONS"]["target_session_attrs"] == "read-write"
    assert not found["HOST"]
    assert not found["PORT"]
