"""What the proposal to take over a bundle rests on: the rows that it would write, as they were when it was made.

A bundle names no version of this register. Without its basis an approval would undo whatever was decided about its CAs between
the proposal and the second operator's click: a withdrawal, an emergency stop.
"""

from __future__ import annotations

import hashlib
import json

from calock.server.providers.bundle import Bundle, BundleProvider
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.models import CaRecord, CaState, Provider


def basis_of(bundle: Bundle) -> str:
    """SHA-256 (hex) over the version of every row that a bundle would write, and over the addresses it would replace.

    Versions rather than contents: what was changed and changed back was decided about as well. Rows that the bundle does not name
    stay as they are, so a change of one is no reason to propose anew.
    """
    text = json.dumps([_rows(wanted) for wanted in bundle.providers], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(wanted: BundleProvider) -> list[object]:
    provider = Provider.objects.filter(code=wanted.code).first()
    keys = [read_ca_certificate(ca.certificate, at=None, crl_signer=ca.crl_signer).spki_sha256 for ca in wanted.cas]
    # a pending record is nobody's decision yet, and comes and goes with its proposal
    records = CaRecord.objects.filter(spki_sha256__in=keys).exclude(state=CaState.PENDING)
    found = records.order_by("spki_sha256").prefetch_related("revocation_sources")
    cas = [[record.spki_sha256, record.version, _sources(record)] for record in found]
    return [wanted.code, provider.version if provider else 0, cas]


def _sources(record: CaRecord) -> list[tuple[str, str, bool]]:
    return sorted((row.kind, row.url, row.private_network) for row in record.revocation_sources.all())
