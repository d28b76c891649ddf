"""From which seal on a part of the trail is looked at."""

from __future__ import annotations

import re
from datetime import date, datetime, time

from django.db.models import Max
from django.utils import timezone

from calock.server.audit.models import AuditEvent, AuditSeal

_ROW = re.compile(r"\d{6}(-[0-9A-Z]{4}){3}", re.IGNORECASE)


def seal_since(words: str) -> int:
    """Number of the first seal that holds anything from here on: a seal's number, an audit row's number, or a day (2026-11-29).

    Raises:
        ValueError: it is none of these, or no such row is there.
    """
    if words.isascii() and words.isdigit():
        return max(1, int(words))
    seals = AuditSeal.objects.order_by("seq")
    if _ROW.fullmatch(words):
        row = AuditEvent.objects.filter(number=words.upper()).first()
        if row is None:
            raise ValueError(f"there is no audit row {words}")
        found = seals.filter(last_id__gte=row.pk)
    else:
        day = timezone.make_aware(datetime.combine(_day(words), time.min))
        found = seals.filter(sealed_at__gte=day)
    first = found.values_list("seq", flat=True).first()
    return (seals.aggregate(last=Max("seq"))["last"] or 0) + 1 if first is None else int(first)


def _day(words: str) -> date:
    try:
        return date.fromisoformat(words)
    except ValueError as error:
        raise ValueError(f"{words} is no seal's number, no audit row's number, and no day such as 2026-11-29") from error
