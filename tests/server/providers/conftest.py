"""A practice root with an intermediate, two operators, and a provider with its anchor recognised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from register_help import AT_START, World, make_world

from calock.demo import pki
from calock.server.providers.trust import forget_register


@pytest.fixture(scope="session")
def authority():
    return pki.make_root("练习根 CA", "SM2", not_before=AT_START, not_after=datetime(2046, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def intermediate(authority):
    return authority.intermediate("练习中级 CA", not_before=AT_START, not_after=AT_START + timedelta(days=7000))


@pytest.fixture
def world(db, authority, intermediate) -> World:
    forget_register()
    return make_world(authority, intermediate)


@pytest.fixture(autouse=True)
def _register_of_this_test():
    forget_register()
    yield
    forget_register()
