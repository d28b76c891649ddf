"""到期提醒: tell whoever has a lock that its certificate ends, at 90, 60, 30, 15, 7 and 1 days before and once after.

What is due is asked of the database by its own clock. A lock that is seen for the first time within a window, or after some days in
which nothing ran, gets the reminder of the window that it is in and none of those before. A series ends with the binding, with a
renewed certificate, which begins its own, and while the lock is reported lost; when it comes back, the window is told again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q

from calock.server.accounts.models import AccountState
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.expiry.models import Reminder
from calock.server.locks.ending_notices import withdraw_reminders
from calock.server.locks.models import CURRENT, Binding, BindingQuerySet, Lock, LockCertificate
from calock.server.locks.versions import take_turn
from calock.server.locks.ways_in import ways_in
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.tools.retry import again_when_broken_off
from calock.server.tools.times import day_text

WINDOWS = (90, 60, 30, 15, 7, 1)
"""Days before the end of a certificate."""
OVER = 0
"""The window after the end."""
LATEST = timedelta(days=30)
"""A certificate that ended longer ago is told of no more: whoever imports old rows sends no flood."""
LAST_ONE = 30
"""From this window on it is said when no other lock of the account logs in."""
BATCH = 500
"""Rows that are fetched at once. Each reminder is a transaction of its own."""
log = structlog.get_logger(__name__)
_HIDDEN = Q(written_at__lte=F("binding__resumed_at"))
"""Written before the lock was reported lost and came back: what it said was hidden, and is said again."""


def remind(*, at: datetime) -> int:
    """Write every reminder that is due at ``at``; how many this call wrote.

    One that meets a fault keeps no other one from being written. The next call tries it again.

    Raises:
        Exception: the first fault, once all were tried.
    """
    written, first = 0, None
    for window, start, end in _spans(at):
        for binding in _each(_due(window, start, end)):
            try:
                written += _write(binding, window, at)
            except Exception as fault:
                log.exception("reminder_not_written", binding=str(binding.pk))
                first = first or fault
    if first is not None:
        raise first
    return written


def _each(rows: BindingQuerySet) -> Iterator[Binding]:
    """Each of them once, whatever is written or fails meanwhile."""
    last = uuid.UUID(int=0)
    while found := list(rows.filter(pk__gt=last)[:BATCH]):
        yield from found
        last = found[-1].pk


def _spans(at: datetime) -> Iterator[tuple[int, datetime, datetime]]:
    """Each window with the ends of certificates that are in it: after ``start``, up to ``end``."""
    days = [timedelta(days=window) for window in WINDOWS]
    for window, end, start in zip(WINDOWS, days, [*days[1:], timedelta()], strict=True):
        yield window, at + start, at + end
    yield OVER, at - LATEST, at


def _due(window: int, start: datetime, end: datetime) -> BindingQuerySet:
    told = Reminder.objects.filter(binding=OuterRef("pk"), window=window, certificate__superseded_at__isnull=True).exclude(_HIDDEN)
    rows: BindingQuerySet = Binding.objects.logging_in().filter(
        ~Exists(told),
        account__state=AccountState.ACTIVE,
        lock__certificates__superseded_at__isnull=True,
        lock__certificates__revoked_at__isnull=True,
        lock__certificates__not_after__gt=start,
        lock__certificates__not_after__lte=end,
    )
    return rows.select_related("account", "lock__provider").order_by("pk")


@again_when_broken_off
def _write(binding: Binding, window: int, at: datetime) -> bool:
    """Whether it was written: not when another machine did, or the binding, its certificate or its state changed meanwhile."""
    try:
        with transaction.atomic():
            take_turn(binding.lock)
            certificate = LockCertificate.objects.filter(CURRENT, lock=binding.lock_id, revoked_at__isnull=True).first()
            if certificate is None or not _is_in(window, certificate, at) or not _stands(binding):
                return False
            _remind(binding, certificate, window, at)
    except IntegrityError:
        return False
    return True


def _is_in(window: int, certificate: LockCertificate, at: datetime) -> bool:
    return any(found == window and start < certificate.not_after <= end for found, start, end in _spans(at))


def _stands(binding: Binding) -> bool:
    return bool(Binding.objects.logging_in().filter(pk=binding.pk).exists())


def _remind(binding: Binding, certificate: LockCertificate, window: int, at: datetime) -> None:
    lock, account = binding.lock, binding.account
    row = record(
        Event.LOCK_REMINDED,
        subject=account.pk,
        organisation=account.organisation_id,
        lock=lock.pk,
        provider=lock.provider.code,
        details={"binding": str(binding.pk), "certificate": certificate.cert_sha256, "window": window},
    )
    Reminder.objects.filter(_HIDDEN, binding=binding, certificate=certificate, window=window).delete()
    Reminder.objects.create(binding=binding, certificate=certificate, window=window, written_at=at, number=row.number)
    withdraw_reminders(binding, at=at)
    tell(
        NoticeKind.LOCK_EXPIRED if window == OVER else NoticeKind.LOCK_EXPIRES,
        account=account.pk,
        row=row,
        binding=str(binding.pk),
        lock=binding.called,
        until=day_text(certificate.not_after),
        only="1" if window <= LAST_ONE and _is_last(binding, at) else "",
        **_next_act(lock),
    )


def _is_last(binding: Binding, at: datetime) -> bool:
    return all(way.binding.pk == binding.pk for way in ways_in(binding.account, at=at))


def _next_act(lock: Lock) -> dict[str, str]:
    """Where the CA renews: from the register, never from the certificate, into which its holder may have had anything written."""
    provider = lock.provider
    return {"provider": provider.name, "hotline": provider.hotline, "renew_url": provider.renew_url}
