"""A browser per role, logged in as our session middleware wants it."""

from __future__ import annotations

import pytest
from worlds.browser import console_client, lock_of_operator
from worlds.kept import kept
from worlds.register import World, make_world

from calock.server.accounts.models import Account, Role
from calock.server.console import trust_notices
from calock.server.organisations.models import Organisation
from calock.server.revocation.health import HeldHere


def _make_world() -> World:
    """Its operators have their locks already."""
    world = make_world()
    for operator in (world.first, world.second):
        lock_of_operator(operator)
    return world


kept_world = kept(_make_world)


@pytest.fixture
def world(kept_world, db):
    return kept_world()


@pytest.fixture
def organisation(db):
    return Organisation.objects.create(kind="supplier", name="测试供应商", uscc="91140000MA0HXXXXX7")


@pytest.fixture
def member(organisation):
    return Account.objects.create_account(username="cssbjgys02", name="张三", password="x9!kkd-Long-1", organisation=organisation)


@pytest.fixture
def first(world):
    return console_client(world.first)


@pytest.fixture
def second(world):
    return console_client(world.second)


@pytest.fixture(params=[Role.MEMBER, Role.ORGANISATION_ADMIN])
def outsider(request, organisation):
    account = Account.objects.create_account(
        username=f"out-{request.param}", name="某", organisation=organisation, role=request.param
    )
    return console_client(account)


@pytest.fixture
def sound_machine(monkeypatch):
    """Nothing is wrong with this machine's background work, and it holds what the rows say."""
    monkeypatch.setattr(trust_notices.jobs_health, "problems", lambda **_: [])
    monkeypatch.setattr(trust_notices, "held_here", lambda source: HeldHere.SAME if source.kind == "crl" else None)
