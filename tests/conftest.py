"""How the suite is shared out and how far its property tests look.

A worker takes a module at a time, and what uses one thing there is once runs on one worker. Property tests try the same examples
whenever the same code is tested, so that a red run can be run again; ``make fuzz`` sends them searching, with a new seed and many
more.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from worlds import migrated, rsa_keys

from calock.demo import pki

settings.register_profile("same", derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", derandomize=False, max_examples=5_000, parent=settings.get_profile("same"), print_blob=True)
settings.load_profile("same")  # ``--hypothesis-profile=search`` comes later and wins

pki.make_key = rsa_keys.make_key
gc.disable()  # until all tests are collected: nothing of that is given back before the end


def pytest_collection_finish() -> None:
    """Let no collection of garbage walk through every module and test again."""
    gc.freeze()
    gc.enable()


TOGETHER = {
    # one platform with its driver and browser serves all journeys; what starts a driver on the usual ports waits for them
    "tests/journeys/": "journeys",
    "tests/demo/test_demo_command.py": "journeys",
    # packages are built once
    "tests/packaging/": "packages",
}
"""Folders and modules that one worker runs, one after the other."""
LONG = (*TOGETHER, "tests/server/serve/", "tests/reliability/")
"""What takes or waits longest, so it is begun first: at the end one worker would wait alone."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out module by module, so that what a module's tests share is made once.

    xdist's own ``xdist_group`` has no effect under pytest 9.2: it renames tests by an attribute that is no longer read.
    """
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - without -n there is no xdist to ask

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((group for path, group in TOGETHER.items() if nodeid.startswith(path)), super()._split_scope(nodeid))

    config.option.loadscopereorder = False  # in the order of ``pytest_collection_modifyitems``
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(scope="session")
def django_db_keepdb(django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory) -> bool:
    """The tests' database is there already, a copy of a migrated one; it goes with the data directory or with its server."""
    from django.db import connection  # noqa: PLC0415 - only tests of the server have settings for it

    if connection.vendor == "sqlite":
        migrated.put(connection.settings_dict["TEST"]["NAME"])
    else:
        name = connection.creation._get_test_db_name()
        migrated.put_on_postgresql(os.environ["CALOCK_TEST_DATABASE_URL"], name, tmp_path_factory)
    return True
