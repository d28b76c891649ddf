"""``calock manage jobs``: the background work of this machine."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from calock.server.jobs.all import all_jobs
from calock.server.jobs.owner import require_owner
from calock.server.jobs.runner import Runner
from calock.server.tools.statement_limits import BACKGROUND, bound_statements
from calock.wire.message_types import describe_message_types

ENDING = (signal.SIGTERM, signal.SIGINT)


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


class Command(BaseCommand):
    help = (
        "Run the background work of this machine: fetch CRLs ahead of their expiry, end sessions of revoked or expired locks, "
        "sweep used challenges, seal audit rows. One process a machine; a second one waits until the first is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run every job once, print what it did, and end")
        parser.add_argument(
            "--with-parent", type=int, metavar="PID", help="end when the process PID, which started this one, has ended"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        require_owner()
        jobs = all_jobs()
        runner = Runner(jobs)
        describe_message_types()
        if options["once"]:
            for job in jobs:
                result = job.run()
                if job.finish:
                    job.finish()
                self.stdout.write(f"{job.name}: {result}")
            return
        bound_statements(BACKGROUND * settings.CALOCK.database_seconds)
        stop_on_signal(runner.stop)
        # the number is given: a parent that ended before this line would not be missed otherwise
        parent = options["with_parent"]
        runner.run(alive=lambda: parent is None or os.getppid() == parent)
