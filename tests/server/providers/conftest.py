"""A practice root with an intermediate, two operators, and a provider with its anchor recognised."""

from __future__ import annotations

import pytest
from worlds.kept import kept
from worlds.register import World, make_world, practice_intermediate, practice_root

from calock.server.providers.trust import forget_register


@pytest.fixture(scope="session")
def authority():
    return practice_root()


@pytest.fixture(scope="session")
def intermediate():
    return practice_intermediate()


kept_world = kept(make_world)


@pytest.fixture
def world(kept_world, db) -> World:
    return kept_world()


@pytest.fixture(autouse=True)
def _register_of_this_test():
    forget_register()
    yield
    forget_register()
