"""``calock manage create_account``: accounts of people; ``calock manage operators create`` makes operators."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.accounts.creation import create_account
from calock.server.accounts.handing_over import code_lines
from calock.server.accounts.models import Role
from calock.server.organisations.models import Organisation


class Command(BaseCommand):
    help = "Create an account and print the one-time code with which its person chooses a password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="账户: what the person types to log in")
        parser.add_argument("name", help="姓名")
        parser.add_argument(
            "--role", choices=[Role.MEMBER, Role.ORGANISATION_ADMIN], default=Role.MEMBER, help="default: %(default)s"
        )
        parser.add_argument("--organisation", metavar="USCC", help="统一社会信用代码 of the person's organisation")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        uscc = options["organisation"]
        organisation = Organisation.objects.filter(uscc=uscc).first() if uscc else None
        if uscc and organisation is None:
            raise CommandError(f"no organisation has the code {uscc}; calock manage create_organisation makes one")
        if options["role"] == Role.ORGANISATION_ADMIN and organisation is None:
            raise CommandError("an organisation's administrator needs --organisation")
        try:
            _, code = create_account(
                username=options["username"], name=options["name"], role=Role(options["role"]), organisation=organisation
            )
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(code_lines(username=options["username"], code=code))
