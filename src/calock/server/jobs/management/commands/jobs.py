"""``calock manage jobs``: the background work of this machine."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from calock.server.jobs.all import all_jobs
from calock.server.jobs.runner import Runner
from calock.wire.message_types import describe_message_types


class Command(BaseCommand):
    help = (
        "Run the background work of this machine: fetch CRLs ahead of their expiry, end sessions of revoked or expired locks, "
        "sweep used challenges, seal audit rows. One process a machine; a second one waits until the first is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run every job once, print what it did, and end")
        parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one ends")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
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
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop.set())
        parent = os.getppid()
        runner.run(alive=(lambda: os.getppid() == parent) if options["with_parent"] else lambda: True)
