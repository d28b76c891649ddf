"""``calock manage restored``: a backup of the database was put back on purpose."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from calock.server.audit.restores import record_restored
from calock.server.providers.register_rows import read_rows
from calock.server.providers.seal import RegisterDamagedError
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions


class Command(BaseCommand):
    help = (
        "After a backup of the database was restored, and before `calock serve` is started: end every session, write into the "
        "audit trail what the backup lacks, accept the older register. Prints what it lacks, unless you say that it is meant."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes-the-backup-is-meant", action="store_true", help="you read what it lacks, and mean it")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        meant = options["yes_the_backup_is_meant"]
        if self._is_older():
            call_command("register", "accept-restored", *(["--yes-the-backup-is-meant"] if meant else []), stdout=self.stdout)
        if not meant:
            raise CommandError("every session will end and the trail will say so: add --yes-the-backup-is-meant")
        with transaction.atomic():
            ended = end_sessions(Session.objects.all(), reason="backup restored", at=timezone.now())
            row = record_restored(sessions_ended=ended)
        told = row.details
        self.stdout.write(f"{told['sessions_ended']} sessions ended; audit row {row.number} tells of it")
        self.stdout.write(f"the backup holds seals to {told['kept_seal']}; heads to {told['last_head_here']} were published here")

    @staticmethod
    def _is_older() -> bool:
        try:
            read_rows()
        except RegisterDamagedError:
            return True
        return False
