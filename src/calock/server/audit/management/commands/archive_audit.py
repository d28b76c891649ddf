"""``calock manage archive_audit``: sealed rows as files that verify by themselves."""

from __future__ import annotations

from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calock.server.audit.archiving import ArchiveError, archive_audit


class Command(BaseCommand):
    help = "Write sealed audit rows of before a day into files; `calock audit verify FOLDER` needs nothing else to verify them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--until", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD", help="the first day that stays"
        )
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="kept where the database's backups are not")
        parser.add_argument("--delete", action="store_true", help="let the database go of these rows once the files verify")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        until = timezone.make_aware(datetime.combine(options["until"], time.min))
        if not options["to"].is_dir():
            raise CommandError(f"{options['to']} is no directory")
        try:
            made = archive_audit(until=until, folder=options["to"], delete=options["delete"], now=timezone.now())
        except ArchiveError as error:
            raise CommandError(str(error), returncode=1) from error
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        if made is None:
            self.stdout.write("nothing to archive")
            return
        if not made.files:
            self.stdout.write(f"nothing to archive; {made.deleted} rows of earlier archives deleted here, as was begun")
            return
        self.stdout.write(f"seals {made.first_seal} to {made.last_seal}, {made.rows} rows, {made.deleted} deleted here:")
        self.stdout.write("\n".join(map(str, made.files)))
