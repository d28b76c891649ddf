"""How the suite is shared out: tests that use one thing there is once run after each other, on one worker."""

from __future__ import annotations

from typing import Any

import pytest

ONE_AT_A_TIME = {
    # a page looks for its driver on four fixed ports
    "tests/journeys/": "driver ports",
    "tests/demo/test_demo_command.py": "driver ports",
    "tests/server/pages/test_driver_states.py": "driver ports",
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
