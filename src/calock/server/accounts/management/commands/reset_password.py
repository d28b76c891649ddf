"""``calock manage reset_password``: for accounts that the console does not reset, those of operators."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.accounts.handing_over import code_lines
from calock.server.accounts.models import Account
from calock.server.accounts.services import reset_password


class Command(BaseCommand):
    help = "Void an account's password, end its sessions, and print the one-time code with which its person chooses another."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="账户")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        member = Account.objects.filter(username=options["username"]).first()
        if member is None:
            raise CommandError(f"there is no account {options['username']}")
        try:
            code = reset_password(member=member, by=None, context=None)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(code_lines(username=member.username, code=code))
