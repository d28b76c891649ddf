"""How an attempt at a source went, written into its row: what operators see."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import transaction

from calock.core.refusals import Reason
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers.models import RevocationSource

log = structlog.get_logger(__name__)


def note_failure(source: RevocationSource, error: str, reason: Reason | None, at: datetime) -> None:
    """Write down why an attempt failed. It is audited when it begins or changes, not every minute that it lasts.

    Other numbers in the same words are no change: a source that says a new one each time must not fill the audit trail.
    """
    error = "".join(letter if letter.isprintable() else "?" for letter in error)[:300]
    with transaction.atomic():
        rows = RevocationSource.objects.filter(pk=source.pk)
        before = rows.values_list("last_error", flat=True).first()
        rows.update(last_fetched_at=at, last_error=error)
        if _words(before or "") != _words(error):
            record(
                Event.REVOCATION_FAILED, provider=source.ca_record.provider.code, reason=reason,
                details={"url": source.url, "kind": source.kind, "error": error[:200]},
            )  # fmt: skip
    log.warning("revocation_fetch_failed", url=source.url, provider=source.ca_record.provider.code, error=error)


def _words(error: str) -> str:
    return "".join(letter for letter in error if not letter.isdigit())


def note_success(source: RevocationSource, at: datetime, *, this_update: datetime | None = None) -> None:
    """Write down that it went well; ``this_update`` of an OCSP answer, a CRL's stands in the row already."""
    values = {"last_fetched_at": at, "last_ok_at": at, "last_error": "", **({"this_update": this_update} if this_update else {})}
    RevocationSource.objects.filter(pk=source.pk).update(**values)
