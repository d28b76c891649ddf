"""A receipt of each kind of lock, made once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound
from worlds.practice import make_lock

from calock.server.audit.sealing import seal_audit
from calock.server.receipts.models import Receipt
from calock.server.receipts.services import file_of


@pytest.fixture
def made(lock_world, tmp_path, settings):
    """A function that logs in with a lock of an algorithm and gives the receipt of the login, sealed."""
    settings.CALOCK = replace(settings.CALOCK, data=tmp_path / "data")
    (tmp_path / "data").mkdir()

    def make(algorithm: str = "EC", *, seal: bool = True) -> Receipt:
        lock = make_lock(algorithm)
        bound(lock, lock_world.member)
        assert Browser().log_in(lock).status_code == 200
        if seal:
            seal_audit(at=timezone.now())
        return Receipt.objects.get(purpose="login")

    return make


@pytest.fixture
def file(made):
    return file_of(made(), names={"账户": "cssbjgys02", "CA锁ID": "7301"})
