"""The background process of this machine: every job, until it is told to end."""

from __future__ import annotations

import os
import signal
import threading

from django.conf import settings

from calock.server.jobs.all import all_jobs
from calock.server.jobs.runner import Runner
from calock.server.tools.statement_limits import BACKGROUND, bound_statements
from calock.wire.message_types import describe_message_types

ENDING = (signal.SIGTERM, signal.SIGINT)


def run(*, parent: int | None = None) -> None:
    """Run all jobs until SIGTERM or SIGINT, or until the process ``parent``, which started this one, has ended."""
    runner = Runner(all_jobs())
    describe_message_types()
    bound_statements(BACKGROUND * settings.CALOCK.database_seconds)
    stop_on_signal(runner.stop)
    # the number is given: a parent that ended before this line would not be missed otherwise
    runner.run(alive=lambda: parent is None or os.getppid() == parent)


def stop_on_signal(stop: threading.Event) -> None:
    """Set ``stop`` when told to end, from a thread that waits for the signal.

    A handler would run in the main thread, which waits for the same event: within that wait's own lock it would wait for ever.
    Call it before other threads start, so that they leave these signals alone as well.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    def wait() -> None:
        signal.sigwait(ENDING)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
