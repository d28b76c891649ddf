"""``calock manage superseded_locks``: locks whose place a holder's next lock took unasked, before this version asked."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from calock.core.refusals import Refusal
from calock.server.locks.models import LockCertificate
from calock.server.locks.superseded import asked_since, binding_then, give_back, superseded_while_good


class Command(BaseCommand):
    help = (
        "Name certificates that another key's took the place of, unasked, while they were good; give one's lock back to its holder."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--all", action="store_true", help="also those since this version, which its people chose in the dialog"
        )
        parser.add_argument("--give-back", metavar="SHA256", help="make it a lock of its own again, for its person to bind")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if options["give_back"]:
            try:
                lock = give_back(options["give_back"].lower())
            except Refusal as refusal:
                raise CommandError(str(refusal)) from refusal
            self.stdout.write(
                f"lock {lock.lock_id} stands by itself: its person logs in with the password and binds it as one more lock"
            )
            return
        before = timezone.now() if options["all"] else asked_since() or timezone.now()
        rows = list(superseded_while_good(before))
        for row in rows:
            self.stdout.write(_line(row))
        self.stdout.write(f"{len(rows)} certificates were superseded while they were good")


def _line(row: LockCertificate) -> str:
    binding, successor = binding_then(row), row.superseded_by.order_by("created_at").first()
    assert row.superseded_at is not None
    assert successor is not None
    account = binding.account if binding else None
    organisation = account.organisation.name if account is not None and account.organisation is not None else "-"
    who = f"{account.username} {account.name} ({organisation})" if account is not None else "nobody"
    state = "still bound" if binding is not None and binding.unbound_at is None else "not bound any more"
    return (
        f"{row.superseded_at:%Y-%m-%d %H:%M}  {who}  lock {row.lock.lock_id} of {row.lock.provider.code}, {state}\n"
        f"    lost: {row.subject_cn}, serial {row.serial}, valid to {row.not_after:%Y-%m-%d}, {row.cert_sha256}\n"
        f"    to:   {successor.subject_cn}, serial {successor.serial}, valid to {successor.not_after:%Y-%m-%d}"
    )
