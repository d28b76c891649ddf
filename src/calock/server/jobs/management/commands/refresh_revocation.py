"""``calock manage refresh_revocation``: fetch every CRL now and say how it went."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.server.jobs.owner import require_owner
from calock.server.revocation.refresh import crl_sources, forget_removed_sources, refresh_crl


class Command(BaseCommand):
    help = "Fetch the CRLs of all recognised CAs now, one line each. Ends with 1 when a source failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", default="", help="only this provider's, by its code")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        require_owner()
        forget_removed_sources()
        failed = 0
        for source in crl_sources():
            if options["provider"] not in ("", source.ca_record.provider.code):
                continue
            outcome = refresh_crl(source)
            failed += not outcome.ok
            done = f"new CRL, {outcome.entries} entries" if outcome.changed else "unchanged"
            self.stdout.write(f"{source.ca_record.provider.code}  {source.url}  {outcome.error or done}")
        if failed:
            raise CommandError(f"{failed} sources failed")
