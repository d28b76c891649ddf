"""``calock manage sealed_rows``: accounts, bindings and what names a lock, under seal."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.server.locks.row_seals import KINDS, damaged_rows, seal_all, seal_one


class Command(BaseCommand):
    help = "List accounts, bindings, certificates and keys that somebody changed behind the server's back; seal them as they are."

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
        steps.add_parser("list", help="every row that is not as it was sealed; status 1 when there is one")
        seal = steps.add_parser(
            "seal",
            help="after the upgrade of the last machine, or when the secret is lost: seal every row as it is",
        )
        seal.add_argument("--row", nargs=2, metavar=("KIND", "KEY"), help="only this one, as `sealed_rows list` names it")
        seal.add_argument(
            "--yes-the-list-is-right",
            action="store_true",
            required=True,
            help="you compared `operators list` and `sealed_rows list`",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if options["step"] == "seal":
            self._seal(options["row"])
        else:
            self._list()

    def _list(self) -> None:
        found = 0
        for found, line in enumerate(damaged_rows(), start=1):  # noqa: B007 - how many there were
            self.stdout.write(line)
        if found:
            raise CommandError(f"not as they were sealed: {found} rows")
        self.stdout.write("every row is as it was sealed")

    def _seal(self, row: list[str] | None) -> None:
        if row is None:
            self.stdout.write(f"{seal_all()} rows sealed")
        elif self._seal_one(*row):
            self.stdout.write("sealed")
        else:
            raise CommandError(f"no row that is not as it was sealed: {' '.join(row)}")

    @staticmethod
    def _seal_one(kind: str, key: str) -> bool:
        try:
            return kind in KINDS and seal_one(kind, key)
        except ValidationError:  # no id
            return False
