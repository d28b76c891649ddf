"""``calock manage verify_audit``: say whether the audit trail is whole, and which rows are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.server.audit.outside.copies import heads_at
from calock.server.audit.sealing_keys import first_key, took_over
from calock.server.audit.since import seal_since
from calock.server.audit.verification import Report, verify_audit


class Command(BaseCommand):
    help = "Check every audit row against its MAC and every sealed batch against its signed head; exit 1 names each bad row."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--public-key",
            nargs="+",
            default=(),
            metavar="HEX",
            help="sealing keys that the trail must hang on, from your own notes; default: the trail's first",
        )
        parser.add_argument(
            "--heads", nargs="+", default=(), metavar="PLACE", help="heads elsewhere: files, folders, addresses of HTTP"
        )
        parser.add_argument(
            "--since", default="1", metavar="NUMBER|DATE", help="a seal's or an audit row's number, or a day: only what came after"
        )

    def handle(self, *args: Any, public_key: Sequence[str], heads: Sequence[str], since: str, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            first = seal_since(since)
            report = verify_audit(trusted=public_key, heads=heads_at(heads, since=first) if heads else None, since=first)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        for finding in report.findings:
            self.stdout.write(str(finding))
        if report.finding_count > len(report.findings):
            self.stdout.write(f"… and {report.finding_count - len(report.findings)} more")
        self._say_keys(report)
        if report.finding_count:
            raise CommandError(f"{report.finding_count} findings in {report.rows} rows", returncode=1)
        alone = f"; {report.by_seal_alone} by their signed seals alone: their secret was taken away" if report.by_seal_alone else ""
        part = f" since seal {report.since}" if report.since > 1 else ""
        self.stdout.write(
            f"whole: {report.rows} rows{part}, {report.sealed} of them sealed, the last by seal {report.last_seal}{alone}"
        )

    def _say_keys(self, report: Report) -> None:
        first = first_key()
        for key, row in report.keys.items():
            how = "from your notes" if row is None else f"took over, row {row.number}" if took_over(row) else f"row {row.number}"
            self.stdout.write(f"sealing key {key}: {'the first' if key == first else how}")
