"""``calock manage provider …``: a provider's rules from the command line, for the server's owner."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from calock.core.certificates.certificate import Certificate, lowest
from calock.core.decision.proposal import Proposal, propose_rules
from calock.core.der.containers import ContainerError, certificates_in
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.server.providers.models import CaState, Provider

MAX_BYTES = 1024 * 1024


class Command(BaseCommand):
    help = "Propose a provider's rules from sample certificates of its CA."

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        propose = steps.add_parser(
            "propose-rules", help="print the smallest change of the rules that accepts the samples, each part with its consequence"
        )
        propose.add_argument(
            "samples", nargs="+", type=Path, metavar="SAMPLE", help="certificates of locks: PEM, DER, .p7b or base64"
        )
        propose.add_argument(
            "--ca", nargs="+", type=Path, default=[], metavar="FILE", help="certificates of the CAs that issued them"
        )
        propose.add_argument("--provider", metavar="CODE", help="start from this provider's rules and CAs instead of the defaults")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            samples, cas = _read(options["samples"])
            cas += [der for file in options["ca"] for der in _certificates(file)]
            policy = Policy()
            if options["provider"]:
                policy, own = _provider(options["provider"])
                cas += own
            proposal = propose_rules(samples, policy, at=timezone.now(), cas=dict.fromkeys(cas))
        except (Refusal, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(as_json(proposal), ensure_ascii=False, indent=2))


def as_json(proposal: Proposal) -> dict[str, Any]:
    """What the command prints: ``rules`` is what a provider's page, ``--policy`` and a vendor folder take."""
    return {
        "accepts_all": proposal.accepts_all,
        "rules": proposal.rules,
        "changes": [asdict(change) for change in proposal.changes],
        "samples": [asdict(sample) for sample in proposal.samples],
        "unread": [{"number": item.masked, "kind": item.kind, "place": item.place} for item in proposal.unread],
    }


def _read(files: Sequence[Path]) -> tuple[list[bytes], list[bytes]]:
    """(samples, CA certificates that came in the same files). Of a chain the certificate at its end is the sample."""
    samples, cas = [], []
    for file in files:
        found = [Certificate.parse(der) for der in _certificates(file)]
        ends = [item for item in lowest(found) if not item.is_ca] or found[:1]
        samples += [item.der for item in ends]
        cas += [item.der for item in found if item not in ends]
    return samples, cas


def _certificates(file: Path) -> list[bytes]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise CommandError(f"{file} is larger than {MAX_BYTES} bytes")
    try:
        return [item.der for item in certificates_in(data)]
    except ContainerError as error:
        raise CommandError(f"{file} {error}") from error


def _provider(code: str) -> tuple[Policy, list[bytes]]:
    provider = Provider.objects.filter(code=code).first()
    if provider is None:
        raise CommandError(f"there is no provider {code}; `register list` names them")
    rows = provider.ca_records.exclude(state=CaState.WITHDRAWN)
    return Policy.from_json(provider.rules), [bytes(row.certificate) for row in rows]
