"""``calock manage create_organisation``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.accounts.organisations import create_organisation
from calock.server.organisations.models import OrganisationKind


class Command(BaseCommand):
    help = "Create an organisation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="单位名称")
        parser.add_argument("uscc", help="统一社会信用代码, 18 characters")
        parser.add_argument(
            "--kind", choices=OrganisationKind.values, default=OrganisationKind.SUPPLIER, help="default: %(default)s"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            create_organisation(name=options["name"], uscc=options["uscc"], kind=OrganisationKind(options["kind"]))
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"organisation {options['name']} ({options['uscc']})")
