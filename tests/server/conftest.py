"""For every test of the server: no limits, registers or evidence left over from the test before."""

from __future__ import annotations

import pytest
from lock_world import make_lock_world

from calock.server.locks import answers, predecessors
from calock.server.providers import rollback_guard
from calock.server.providers.trust import forget_register
from calock.server.tools import throttle


@pytest.fixture(autouse=True)
def _nothing_left_over():
    throttle.reset()
    forget_register()
    rollback_guard.forget()
    yield
    forget_register()
    rollback_guard.forget()


@pytest.fixture
def lock_world(db, monkeypatch):
    """People, an SM2, an RSA and a P-256 CA; its revocation data is given directly (the store has its own tests)."""
    world = make_lock_world("SM2", "EC", "RSA")
    monkeypatch.setattr(answers, "with_live_answers", lambda verify: verify(world.evidence()))
    monkeypatch.setattr(predecessors, "current_evidence", world.evidence)
    return world
