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
from calock.server.providers import seal
from calock.server.providers.exchange import export_bundle, own_public_key
from calock.server.providers.models import BundleKey, CaRecord, Provider, RegisterState, RevocationSource, register_macs
from calock.server.providers.trust import current_problems
from calock.server.providers.vendors import install_vendor, vendor_codes


class Command(BaseCommand):
    help = "Check, list, install, export or seal the provider register (互认 trust list)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("check", help="exit 1 and name every problem that would keep the server from starting")
        steps.add_parser("list", help="providers and their CA records, with state and key hash")
        install = steps.add_parser(
            "install", help="put vendor folders into the register; without CA certificates they stay suspended"
        )
        install.add_argument("codes", nargs="+", metavar="CODE", help=f"of {', '.join(vendor_codes())}")
        export = steps.add_parser("export", help="write the register as a signed bundle")
        export.add_argument("file", type=Path)
        seal_again = steps.add_parser("reseal", help="after the server's secret key was changed: seal the rows as they are now")
        seal_again.add_argument("--yes-the-list-is-right", action="store_true", help="you compared every hash of `list`")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['step']}")(options)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal

    def _check(self, _options: dict[str, Any]) -> None:
        problems = current_problems()
        for problem in problems:
            self.stderr.write(f"{problem.provider or 'register'}: {problem.kind}: {problem.detail}")
        if problems:
            sys.exit(1)
        self.stdout.write("the register is intact, and every enabled provider has an anchor")

    def _list(self, _options: dict[str, Any]) -> None:
        for provider in Provider.objects.all():
            self.stdout.write(f"{provider.code}  {provider.state}  {provider.name}  sites: {', '.join(provider.sites) or '-'}")
            for row in provider.ca_records.order_by("-anchor", "subject"):
                role = "anchor" if row.anchor else "intermediate"
                self.stdout.write(f"    {row.spki_sha256}  {row.state}  {role}  to {row.not_after:%Y-%m-%d}  {row.subject}")
        self.stdout.write(f"bundles of this server are signed by {own_public_key().hex()}")

    def _install(self, options: dict[str, Any]) -> None:
        for code in options["codes"]:
            try:
                provider = install_vendor(code)
            except (LookupError, ValueError) as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"{code}: {provider.state}")

    def _export(self, options: dict[str, Any]) -> None:
        options["file"].write_bytes(export_bundle(by=None, context=None))
        self.stdout.write(f"{options['file']}, signed by {own_public_key().hex()}")

    def _reseal(self, options: dict[str, Any]) -> None:
        if not options["yes_the_list_is_right"]:
            raise CommandError(
                "compare every hash that `register list` prints with what was decided, then add --yes-the-list-is-right"
            )
        with transaction.atomic():
            for model in (Provider, CaRecord, BundleKey):
                for row in model.objects.select_for_update():
                    model.objects.filter(pk=row.pk).update(mac=row.sealed_mac())
            for source in RevocationSource.objects.select_for_update():
                RevocationSource.objects.filter(pk=source.pk).update(mac=seal.source_mac(source))
            state, _ = RegisterState.objects.select_for_update().get_or_create(pk=1)
            state.revision += 1
            state.mac = seal.register_mac(state.revision, register_macs())
            state.save()
            record(Event.REGISTER_RESEALED, details={"revision": state.revision, "seal": state.mac})
        self.stdout.write(f"sealed as revision {state.revision}")
