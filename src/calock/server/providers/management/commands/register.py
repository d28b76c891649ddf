"""``calock manage register …``: the provider register from the command line, for the server's owner."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from calock.core.refusals import Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers import register_audit, rollback_guard, seal
from calock.server.providers.models import Provider, RegisterState
from calock.server.providers.register_rows import read_rows, snapshot_of
from calock.server.providers.rollback_guard import RegisterSnapshot
from calock.server.providers.seal import RegisterDamagedError
from calock.server.providers.sealed import register_macs, sealed_models
from calock.server.providers.trust import ProblemKind, current_problems
from calock.server.providers.vendors import export_vendor, install_vendor
from calock.wire.folders import DefinitionError


class Command(BaseCommand):
    help = "Check, list, install, export or seal the provider register (互认 trust list)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("check", help="exit 1 and name every problem that would keep the server from starting")
        steps.add_parser("list", help="providers and their CA records, with state and key hash")
        install = steps.add_parser(
            "install", help="put vendor folders into the register; without CA certificates they stay suspended"
        )
        install.add_argument(
            "codes", nargs="+", metavar="CODE", help="of a vendor folder, which are those of calock and those in CALOCK_VENDORS"
        )
        export = steps.add_parser("export", help="write a provider as a vendor folder, with its recognised CA certificates")
        export.add_argument("code", metavar="CODE")
        export.add_argument("directory", type=Path, metavar="DIRECTORY", help="in which the folder is made")
        seal_again = steps.add_parser("reseal", help="after the server's secret was lost: seal the rows as they are now")
        seal_again.add_argument("--yes-the-list-is-right", action="store_true", help="you compared every hash of `list`")
        restored = steps.add_parser(
            "accept-restored", help="after the database was restored from a backup: take the older register"
        )
        restored.add_argument("--yes-the-backup-is-meant", action="store_true", help="you read what it lacks, and mean it")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['step'].replace('-', '_')}")(options)
        except (Refusal, DefinitionError) as error:
            raise CommandError(str(error)) from error

    def _check(self, _options: dict[str, Any]) -> None:
        problems = current_problems()
        for problem in problems:
            self.stderr.write(f"{problem.provider or 'register'}: {problem.kind}: {problem.detail}")
        if any(problem.kind == ProblemKind.REGISTER_DAMAGED for problem in problems):
            self.stderr.write("a backup was restored on purpose? `register accept-restored` prints what it lacks")
        if problems:
            sys.exit(1)
        self.stdout.write(
            f"revision {register_audit.revision()} of the register is intact, and every enabled provider has an anchor"
        )

    def _list(self, _options: dict[str, Any]) -> None:
        for provider in Provider.objects.all():
            self.stdout.write(f"{provider.code}  {provider.state}  {provider.name}  sites: {', '.join(provider.sites) or '-'}")
            for row in provider.ca_records.order_by("-anchor", "subject"):
                self.stdout.write(f"    {row.spki_sha256}  {row.state}  {row.role}  to {row.not_after:%Y-%m-%d}  {row.subject}")

    def _install(self, options: dict[str, Any]) -> None:
        for code in options["codes"]:
            provider = install_vendor(code)
            self.stdout.write(f"{code}: {provider.state}")

    def _export(self, options: dict[str, Any]) -> None:
        try:
            self.stdout.write(str(export_vendor(options["code"], options["directory"])))
        except OSError as error:
            raise CommandError(f"{options['directory']}: {error.strerror}") from error

    def _reseal(self, options: dict[str, Any]) -> None:
        if not options["yes_the_list_is_right"]:
            raise CommandError(
                "compare every hash that `register list` prints with what was decided, then add --yes-the-list-is-right"
            )
        with transaction.atomic():
            RegisterState.objects.select_for_update().filter(pk=1).first()
            for model in sealed_models():
                model.seal_stored()
            state = self._seal_above(_newest())
            record(Event.REGISTER_RESEALED, details={"step": "resealed", "revision": state.revision, "seal": state.mac})
        self._remember()
        self.stdout.write(f"sealed as revision {state.revision}")

    def _accept_restored(self, options: dict[str, Any]) -> None:
        newest = _newest()
        above = max(newest.revision if newest else 0, register_audit.last_recorded())
        try:
            rows = read_rows(restored=True)
        except RegisterDamagedError as error:
            raise CommandError(f"this is no register that was restored whole: {error.detail}") from error
        present = rows.state[0] if rows.state else 0
        if not self._was_put_back(rows.state, newest, above):
            raise CommandError(f"revision {present} is the newest that is known here: there is nothing to accept")
        self.stdout.write(f"the database has revision {present}; seen here before: revision {above}")
        gone, back = set(newest.rows if newest else ()) - set(rows.lines()), set(rows.lines()) - set(newest.rows if newest else ())
        for mark, lines in (("- lost:   ", gone), ("+ is back:", back)):
            for line in sorted(lines):
                self.stdout.write(f"{mark} {line}")
        if not options["yes_the_backup_is_meant"]:
            raise CommandError(
                "what was suspended or withdrawn since is trusted again; read every line, then add --yes-the-backup-is-meant"
            )
        with transaction.atomic():
            RegisterState.objects.select_for_update().filter(pk=1).first()
            state = self._seal_above(newest)
            details: dict[str, str | int] = {"step": "backup accepted", "restored_revision": present, "newest_revision_seen": above}
            details |= {"revision": state.revision, "seal": state.mac, "lost": len(gone), "back": len(back)}
            record(Event.REGISTER_RESEALED, details=details)
        self._remember()
        self.stdout.write(f"accepted as revision {state.revision}; withdraw again what must not be trusted")

    @staticmethod
    def _was_put_back(state: tuple[int, str] | None, newest: RegisterSnapshot | None, above: int) -> bool:
        try:
            rollback_guard.check(state, newest)
        except RegisterDamagedError:
            return True
        return (state[0] if state else 0) < above

    @staticmethod
    def _seal_above(newest: RegisterSnapshot | None) -> RegisterState:
        """Seal the rows under a revision above every one that is known, so that no machine takes it for an older one."""
        state, _ = RegisterState.objects.get_or_create(pk=1)
        state.revision = max(state.revision, newest.revision if newest else 0, register_audit.last_recorded()) + 1
        state.mac = seal.register_mac(state.revision, register_macs())
        state.save()
        return state

    @staticmethod
    def _remember() -> None:
        found = snapshot_of(read_rows(restored=True))
        if found is not None:
            rollback_guard.remember(found, even_if_damaged=True)


def _newest() -> RegisterSnapshot | None:
    """The newest state seen here; a file that is not ours says nothing."""
    try:
        return rollback_guard.newest()
    except RegisterDamagedError:
        return None
