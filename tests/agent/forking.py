"""Workers of a test's driver, forked from it: a Python of their own would spend a tenth of a second on imports for each.

Nothing else of them is different: a process each, with the pipe to the driver as standard input and output. Workers that are
started as people's are (``python -m calock.agent.worker``) are tried in ``test_modules.py`` and by every journey.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from calock.agent import modules


def fork_workers(main: Callable[[], int]) -> None:
    """Let this driver's workers run ``main``."""
    start, command = asyncio.create_subprocess_exec, modules.worker_command()

    def become() -> None:
        """In the child, in place of the command it was to become; closing what it inherited tells the driver that it runs."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 256)
        os._exit(main())

    async def fork(*words: str, **options: Any) -> asyncio.subprocess.Process:
        return await start(*words, preexec_fn=become if list(words) == command else None, **options)

    asyncio.create_subprocess_exec = fork
