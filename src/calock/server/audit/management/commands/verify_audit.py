"""``calock manage verify_audit``: say whether the audit trail is whole, and which rows are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.server.audit.tree import public_hex, seal_key
from calock.server.audit.verification import verify_audit


class Command(BaseCommand):
    help = "Check every audit row against its MAC and every sealed batch against its signed head; exit 1 names each bad row."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--public-key", help="the sealing key in hex, from your own notes; default: the key in CALOCK_DATA")

        parser.add_argument(
            "--heads", type=Path, nargs="+", default=(), metavar="FILE", help="copies of the files of heads, the oldest first"
        )

    def handle(self, *args: Any, public_key: str | None, heads: Sequence[Path], **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if absent := [str(path) for path in heads if not path.is_file()]:
            raise CommandError(f"no such file: {', '.join(absent)}")
        report = verify_audit(public_key=public_key or public_hex(seal_key(settings.CALOCK.data)), heads=heads)
        for finding in report.findings:
            self.stdout.write(str(finding))
        if report.findings:
            raise CommandError(f"{len(report.findings)} findings in {report.rows} rows", returncode=1)
        alone = f"; {report.by_seal_alone} by their signed seals alone: their secret was taken away" if report.by_seal_alone else ""
        self.stdout.write(f"whole: {report.rows} rows, {report.sealed} of them sealed{alone}")
