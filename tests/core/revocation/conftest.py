"""The worlds of revocation, one for each algorithm."""

from __future__ import annotations

import pytest
from worlds.core_revocation import WORLDS


@pytest.fixture(params=WORLDS)
def world(request):
    return WORLDS[request.param]


@pytest.fixture
def ec():
    return WORLDS["EC"]
