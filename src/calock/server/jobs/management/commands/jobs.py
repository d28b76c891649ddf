"""``calock manage jobs``: the background work of this machine."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from calock.server.jobs import background
from calock.server.jobs.all import all_jobs
from calock.server.jobs.owner import require_owner


class Command(BaseCommand):
    help = (
        "Run the background work of this machine: fetch CRLs ahead of their expiry, end sessions of revoked or expired locks, "
        "sweep used challenges, seal audit rows. One process a machine; a second one waits until the first is gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="run every job once, print what it did, and end")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        require_owner()
        if not options["once"]:
            background.run()
            return
        for job in all_jobs():
            result = job.run()
            if job.finish:
                job.finish()
            self.stdout.write(f"{job.name}: {result}")
