"""An application, a person with a lock, and their browser."""

from __future__ import annotations

import pytest
from worlds import relying
from worlds.browser import Browser, bound
from worlds.practice import make_lock
from worlds.relying import RelyingParty


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch):
    relying.cheap_keys(monkeypatch)


@pytest.fixture
def rp(lock_world) -> RelyingParty:
    return relying.register()


@pytest.fixture
def lock(lock_world):
    made = make_lock("EC")
    bound(made, lock_world.member)
    return made


@pytest.fixture
def browser(lock_world) -> Browser:
    """Nobody is logged in."""
    return Browser()


@pytest.fixture
def by_password(lock_world) -> Browser:
    made = Browser()
    made.enter(lock_world.member)
    return made


@pytest.fixture
def by_lock(lock) -> Browser:
    made = Browser()
    assert made.log_in(lock).status_code == 200
    return made
