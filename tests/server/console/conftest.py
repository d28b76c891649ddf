"""A browser per role, logged in as our session middleware wants it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from console_help import browser_of
from register_help import AT_START, make_world

from calock.demo import pki
from calock.server.accounts.models import Account, Role
from calock.server.console import trust_notices
from calock.server.organisations.models import Organisation
from calock.server.revocation.health import HeldHere


@pytest.fixture(scope="session")
def console_root():
    return pki.make_root("练习根 CA", "SM2", not_before=AT_START, not_after=datetime(2046, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def console_intermediate(console_root):
    return console_root.intermediate("练习中级 CA", not_before=AT_START, not_after=AT_START + timedelta(days=7000))


@pytest.fixture
def world(db, console_root, console_intermediate):
    return make_world(console_root, console_intermediate)


@pytest.fixture
def organisation(db):
    return Organisation.objects.create(kind="supplier", name="测试供应商", uscc="91140000MA0HXXXXX7")


@pytest.fixture
def member(organisation):
    return Account.objects.create_account(username="cssbjgys02", name="张三", password="x9!kkd-Long-1", organisation=organisation)


@pytest.fixture
def first(world):
    return browser_of(world.first)


@pytest.fixture
def second(world):
    return browser_of(world.second)


@pytest.fixture(params=[Role.MEMBER, Role.ORGANISATION_ADMIN])
def outsider(request, organisation):
    account = Account.objects.create_account(
        username=f"out-{request.param}", name="某", organisation=organisation, role=request.param
    )
    return browser_of(account)


@pytest.fixture
def sound_machine(monkeypatch):
    """Nothing is wrong with this machine's background work, and it holds what the rows say."""
    monkeypatch.setattr(trust_notices.jobs_health, "problems", lambda **_: [])
    monkeypatch.setattr(trust_notices, "held_here", lambda source: HeldHere.SAME if source.kind == "crl" else None)
