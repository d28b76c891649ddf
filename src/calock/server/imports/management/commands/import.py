# ruff: noqa: N999 - the command's name, which nothing imports
"""``calock manage import KIND FILE``: organisations, accounts and bindings of another system, by the server's owner."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.imports.columns import COLUMNS, ImportKind
from calock.server.imports.outcomes import OUTCOME_WORDS, Judged, Outcome
from calock.server.imports.services import ImportList, counted

SHOWN = 20
"""Error lines that are printed; the report has them all."""


class Command(BaseCommand):
    help = "Take over a list: CSV in UTF-8 or GB 18030, or XLSX. What is there already is left or changed, nothing is deleted."

    def add_arguments(self, parser: CommandParser) -> None:
        columns = "; ".join(f"{kind}: {', '.join(column.name for column in COLUMNS[kind])}" for kind in ImportKind)
        parser.add_argument("kind", choices=list(ImportKind), help=f"columns, by these names or the Chinese ones: {columns}")
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="say what would become of each line, and write nothing")
        parser.add_argument("--skip-errors", action="store_true", help="write the other lines though some are wrong")
        parser.add_argument("--report", type=Path, metavar="FILE", help="a CSV with each line and what became of it")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            content = options["file"].read_bytes()
            found = ImportList(ImportKind(options["kind"]), content)
            judged = list(found.judged())
            wrong = [line for line in judged if line.outcome == Outcome.ERROR]
            refused = bool(wrong) and not options["skip_errors"]
            if not options["dry_run"] and not refused:
                judged = list(found.written(by=None))
        except Refusal as refusal:
            raise CommandError(refusal.detail or str(refusal)) from refusal
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        if options["report"]:
            _write_report(options["report"], judged)
        for line in wrong[:SHOWN]:
            self.stderr.write(f"line {line.number} {line.key}: {line.words}")
        counts = counted(judged)
        done = "would be" if options["dry_run"] or refused else "were"
        told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)
        self.stdout.write(f"{len(judged)} lines {done}: {told}")
        if refused:
            raise CommandError(f"{len(wrong)} lines are wrong; nothing was written", returncode=1)


def _write_report(path: Path, judged: Sequence[Judged]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("行", "标识", "结果", "说明"))
        rows.writerows((line.number, line.key, OUTCOME_WORDS[line.outcome], line.words) for line in judged)
