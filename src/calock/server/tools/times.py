"""Moments as people read them: in the server's time zone, as the manuals print them."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def local(at: datetime) -> datetime:
    """``at`` in the server's time zone; "no end" (9999-12-31T23:59:59Z, RFC 5280 clause 4.1.2.5) has no later hour and stays."""
    try:
        return timezone.localtime(at, timezone.get_default_timezone())
    except OverflowError:
        return at


def second_text(at: datetime | None) -> str:
    """``2020-11-30 10:55:35``; ``-`` for none."""
    return "-" if at is None else f"{local(at):%Y-%m-%d %H:%M:%S}"


def minute_text(at: datetime | None) -> str:
    """``2020-11-30 10:55``; ``-`` for none."""
    return "-" if at is None else f"{local(at):%Y-%m-%d %H:%M}"


def day_text(at: datetime | None) -> str:
    """``2020-11-30``; ``-`` for none."""
    return "-" if at is None else f"{local(at):%Y-%m-%d}"
