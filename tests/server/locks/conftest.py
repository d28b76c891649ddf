"""Somebody with a lock, and somebody who would like to be them."""

from __future__ import annotations

import pytest
from worlds.browser import bound, console_client
from worlds.practice import make_lock
from worlds.rows import PASSWORD

from calock.server.jobs import sealed_rows as sealed_rows_job


@pytest.fixture
def victim(lock_world):
    """An account with a bound lock."""
    lock_world.lock = make_lock()
    lock_world.binding = bound(lock_world.lock, lock_world.member)
    return lock_world


@pytest.fixture
def operator_page(lock_world):
    sealed_rows_job.file().unlink(missing_ok=True)
    yield console_client(lock_world.operator)
    sealed_rows_job.file().unlink(missing_ok=True)


@pytest.fixture
def mine(victim):
    """A good lock of the attacker's, bound to their own account."""
    victim.own_lock = make_lock("EC", lock_id="SX-9")
    victim.own = bound(victim.own_lock, victim.colleague)
    return victim


@pytest.fixture
def typed(lock_world):
    """Two people with passwords; the attacker knows the second one's."""
    for account, password in ((lock_world.member, PASSWORD), (lock_world.colleague, "Angreifer-9-Wang")):
        account.set_password(password)
        account.save()
    return lock_world
