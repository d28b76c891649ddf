"""``calock manage operators``: what only the server's owner does about operators."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from calock.core.refusals import Refusal
from calock.server.accounts.creation import create_account
from calock.server.accounts.handing_over import code_lines
from calock.server.accounts.members import write_account_state, write_name
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.operators import ENROLMENT, open_enrolment
from calock.server.locks.models import Binding
from calock.server.locks.row_seals import damaged_operators

HOURS = int(ENROLMENT.total_seconds() // 3600)


class Command(BaseCommand):
    help = "Create an operator, let one bind a CA lock, disable, enable or rename one, list them."

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
        create = steps.add_parser("create", help=f"an operator, with a one-time code and {HOURS} hours to bind a CA lock")
        create.add_argument("username", help="账户: what the person types to log in")
        create.add_argument("name", help="姓名")
        for step, text in (
            ("enrol", f"give {HOURS} hours in which a lock may be bound with the password: for a new one, or when all are lost"),
            ("disable", "end the operator's sessions and refuse their logins"),
            ("enable", "undo it"),
        ):
            steps.add_parser(step, help=text).add_argument("username")
        rename = steps.add_parser("rename", help="correct the operator's name, by which colleagues know them")
        rename.add_argument("username")
        rename.add_argument("name", help="姓名")
        steps.add_parser("list", help="every operator, whether the row is as it was sealed; status 1 when one is not")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            getattr(self, f"_{options['step']}")(options)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal

    def _create(self, options: dict[str, Any]) -> None:
        account, code = create_account(username=options["username"], name=options["name"], role=Role.OPERATOR)
        open_enrolment(operator=account, by=None, context=None)
        self.stdout.write(code_lines(username=account.username, code=code))
        self.stdout.write(f"then log in and bind a CA lock within {HOURS} hours; the console opens with it")

    def _enrol(self, options: dict[str, Any]) -> None:
        until = open_enrolment(operator=_operator(options["username"]), by=None, context=None)
        self.stdout.write(f"{options['username']} may log in with the password and bind a CA lock until {until:%Y-%m-%d %H:%M %Z}")

    def _disable(self, options: dict[str, Any]) -> None:
        write_account_state(member=_operator(options["username"]), state=AccountState.DISABLED, by=None, context=None)

    def _enable(self, options: dict[str, Any]) -> None:
        write_account_state(member=_operator(options["username"]), state=AccountState.ACTIVE, by=None, context=None)

    def _rename(self, options: dict[str, Any]) -> None:
        write_name(member=_operator(options["username"]), name=options["name"], by=None, context=None)

    def _list(self, options: dict[str, Any]) -> None:  # noqa: ARG002 - like its neighbours
        locks = Binding.objects.live().select_related("lock").filter(account__role=Role.OPERATOR)
        for row in Account.objects.filter(role=Role.OPERATOR).order_by("username"):
            held = " ".join(binding.lock.lock_id for binding in locks.filter(account=row)) or "-"
            self.stdout.write(f"{row.username}  {row.name}  {row.state}  locks: {held}")
        found = damaged_operators()
        if found:
            raise CommandError("not as it was sealed: " + "; ".join(found))


def _operator(username: str) -> Account:
    found: Account | None = Account.objects.filter(username=username, role=Role.OPERATOR).first()
    if found is None:
        raise CommandError(f"no operator is called {username}")
    return found
