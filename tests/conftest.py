"""How the suite is shared out and how far its property tests look.

Tests that use one thing there is once run after each other, on one worker. Property tests try the same examples whenever the
same code is tested, so that a red run can be run again; ``make fuzz`` sends them searching, with a new seed and many more.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("same", derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", derandomize=False, max_examples=5_000, parent=settings.get_profile("same"), print_blob=True)
settings.load_profile("same")  # ``--hypothesis-profile=search`` comes later and wins

ONE_AT_A_TIME = {
    "tests/journeys/test_permission.py": "driver ports",
    "tests/demo/test_demo_command.py": "driver ports",
    # packages are built once
    "tests/packaging/": "packages",
}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share out test by test, but keep together what ``ONE_AT_A_TIME`` names.

    xdist's own ``xdist_group`` has no effect under pytest 9.2: it renames tests by an attribute that is no longer read.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - without -n there is no xdist to ask

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((group for path, group in ONE_AT_A_TIME.items() if nodeid.startswith(path)), nodeid)

    return Scheduling(config, log)
