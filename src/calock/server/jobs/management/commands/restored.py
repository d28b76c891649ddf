"""``calock manage restored``: a backup of the database was put back on purpose."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.utils import timezone

from calock.server.accounts.models import SealedSince
from calock.server.accounts.sealed_rows import note
from calock.server.audit.restores import record_restored
from calock.server.providers.register_rows import read_rows
from calock.server.providers.seal import RegisterDamagedError
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions

UNSEALED = (
    "the backup is older than the seals of accounts, bindings and locks, and this machine believes no row without one: nobody can "
    "log in until you compare `calock manage operators list` and run `calock manage sealed_rows seal --yes-the-list-is-right`"
)


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
        if note().exists() and not self._is_under_seal():
            self.stdout.write(UNSEALED)
        self.stdout.write(f"the backup holds seals to {told['kept_seal']}; heads to {told['last_head_here']} were published here")

    @staticmethod
    def _is_under_seal() -> bool:
        """Whether the backup says that all its rows are; one of an earlier version has no table for it until it is migrated."""
        table = SealedSince._meta.db_table  # noqa: SLF001 - Django's public name for it
        return table in connection.introspection.table_names() and SealedSince.objects.exists()

    @staticmethod
    def _is_older() -> bool:
        try:
            read_rows()
        except RegisterDamagedError:
            return True
        return False
