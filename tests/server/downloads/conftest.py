"""A catalogue of its own per test, with a key that may publish into it, and one published package."""

from __future__ import annotations

import dataclasses

import pytest
from worlds.driver_packages import make_package, package_key, public

from calock.server.accounts.models import Account, Role
from calock.server.downloads import store
from calock.server.downloads.services import publish_package, upload_package


@pytest.fixture
def package_store(tmp_path, settings, db):
    settings.CALOCK = dataclasses.replace(settings.CALOCK, data=tmp_path)
    (tmp_path / "package-keys.txt").write_text(f"# ours\n{public(package_key())}\n")
    store._known_good.clear()
    return tmp_path / "packages"


@pytest.fixture
def operator(db):
    return Account.objects.create_account(username="yunying", name="运营甲", role=Role.OPERATOR)


@pytest.fixture
def upload(package_store, operator):
    """Upload a package; with ``publish`` it is offered at once."""

    def upload(data: bytes | None = None, *, publish: bool = True, **fields):
        package = upload_package(chunks=[data or make_package(**fields)], by=operator, context=None)
        return publish_package(package=package, by=operator, context=None) if publish else package

    return upload
