"""``calock manage seal_audit``: seal what is not sealed yet, now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calock.server.audit.heads import heads_path
from calock.server.audit.sealing import seal_audit
from calock.server.audit.sealing_keys import first_key, known_keys, take_over
from calock.server.audit.tree import own_key, seal_key


class Command(BaseCommand):
    help = "Seal audit rows and write the signed heads to files of CALOCK_DATA; the jobs process does this every minute."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--no-other-machine-is-left",
            action="store_true",
            help="let this machine's new key go on with the trail, although no machine is left whose seal could let it in",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        at = timezone.now()
        if options["no_other_machine_is_left"] and (row := take_over(seal_key(settings.CALOCK.data))):
            self.stdout.write(f"audit row {row.number} tells that this machine's sealing key takes over")
        sealed = seal_audit(at=at)
        own = own_key(settings.CALOCK.data)
        if first_key() and own not in known_keys():
            raise CommandError(
                f"nothing sealed: the trail does not know this machine's sealing key {own} yet. Another machine's next seal lets "
                "it in; when none is left: --no-other-machine-is-left",
                returncode=1,
            )
        self.stdout.write(f"{sealed} rows sealed by key {own}; heads in {heads_path(at)}")
