from __future__ import annotations

import pytest
from worlds.revocation import live_source


@pytest.fixture
def source():
    with live_source() as server:
        yield server
