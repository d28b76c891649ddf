"""``calock manage rekey``: after a new secret was put first, make anew what the older ones made."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from calock.server.jobs.rekeying import rekey
from calock.server.tools.keys import key_ids


class Command(BaseCommand):
    help = (
        "Seal and hash everything stored under the newest secret, while the server runs. It may be broken off and run again; "
        "run it once on each machine. Exit 0: the older secrets may go, as far as this machine and the database are concerned."
    )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        newest, *older = key_ids()
        self.stdout.write(f"newest key {newest}; older: {', '.join(older) or 'none'}")
        failed = 0
        for found in rekey():
            self.stdout.write(f"{found.what}: {found.done} made anew")
            failed += len(found.failed)
            for line in found.failed:
                self.stderr.write(f"{found.what}: not made anew: {line}")
        if failed:
            raise CommandError(f"{failed} could not be made anew: keep the older secrets until that is settled", returncode=1)
