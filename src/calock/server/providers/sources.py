"""Where revocation data of a CA comes from: addresses that an operator named, and no others."""

from __future__ import annotations

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.services import require_operator
from calock.server.audit.events import Event
from calock.server.context import RequestContext
from calock.server.providers.models import CaRecord, RevocationSource
from calock.server.providers.services import clean_row, record_change


def add_source(
    *, record: CaRecord, kind: str, url: str, private_network: bool, by: Account, context: RequestContext | None
) -> RevocationSource:
    """Add an address from which revocation data of this CA is fetched. What comes from it must still be signed by the CA.

    Raises:
        Refusal: NOT_ALLOWED, REQUEST_MALFORMED (not http or https, known already).
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        source = RevocationSource(ca_record=record, kind=kind, url=url.strip(), private_network=private_network)
        if not source.url.startswith(("http://", "https://")):
            raise Refusal(Reason.REQUEST_MALFORMED, "an address that starts with http:// or https:// is wanted")
        clean_row(source)
        source.save(force_insert=True)
        details = {
            "step": "added",
            "kind": kind,
            "url": source.url,
            "private_network": private_network,
            "spki_sha256": record.spki_sha256,
        }
        record_change(Event.REVOCATION_SOURCE_CHANGED, record.provider, operator, context, details)
    return source


def remove_source(*, source: RevocationSource, by: Account, context: RequestContext | None) -> None:
    """Take an address away. Revocation data already held keeps its own life.

    Raises:
        Refusal: NOT_ALLOWED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        details = {"step": "removed", "kind": source.kind, "url": source.url, "spki_sha256": source.ca_record.spki_sha256}
        record_change(Event.REVOCATION_SOURCE_CHANGED, source.ca_record.provider, operator, context, details)
        source.delete()
