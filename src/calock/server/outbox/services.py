"""Put a message, claim what is due, send it. At least once: receivers tell repetitions by ``Message.id``.

A claim is a short transaction that moves ``due_at`` ahead by LEASE. The network is used outside of it, so a slow receiver holds no
row of the database; a process that dies while sending leaves a message that is due again when its lease ends. Rows are taken with
``FOR UPDATE SKIP LOCKED`` on PostgreSQL; SQLite has one machine and one writer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, connection, transaction

from calock.core.refusals import Reason, Refusal
from calock.server.audit.canonical import clean_details
from calock.server.audit.events import Event
from calock.server.audit.services import Actor, Where, record
from calock.server.outbox.kinds import GiveUpError, Kind, kind_named
from calock.server.outbox.models import Message, MessageQuerySet
from calock.server.tools import clock

LEASE = timedelta(minutes=15)
"""For so long a claimed message is not given to another worker."""
KEPT = timedelta(days=30)
"""Sent messages are kept for so long, for questions about them; what was given up, six times as long."""

Body = Mapping[str, str | int | bool | None]

log = structlog.get_logger(__name__)


def put(kind: str, *, key: str, body: Body, due_at: datetime | None = None) -> None:
    """Leave a message in the transaction of the act that it tells of. Where one of this kind and key is open, nothing is added.

    Raises:
        RuntimeError: outside of a transaction, or a kind that is not registered.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a message belongs into the transaction of its act")
    if kind_named(kind) is None:
        raise RuntimeError(f"no messages of kind {kind}")
    now = clock.now()
    row = Message(kind=kind, key=key, body=dict(body), created_at=now, due_at=due_at or now)
    Message.objects.bulk_create([row], ignore_conflicts=True)


def claim(kind: Kind, *, limit: int) -> list[Message]:
    """Take up to ``limit`` messages that are due: no other worker gets them before the lease ends. It counts as one more try."""
    now = clock.database_now()
    due = Message.objects.due(now).filter(kind=kind.code)
    if limit < 1 or not due.exists():  # nearly always: no transaction for that
        return []
    with transaction.atomic():
        rows = list(due.select_for_update(skip_locked=True)[:limit])
        for row in rows:
            row.attempts += 1
            row.due_at = now + LEASE
        Message.objects.bulk_update(rows, ["attempts", "due_at"])
    return rows


def deliver(message: Message, kind: Kind) -> bool:
    """Send a claimed message and write down how that went; whether it was sent."""
    try:
        kind.send(message)
    except Exception as error:  # noqa: BLE001 - whatever kept it from being sent, it stays to be sent
        _not_sent(message, kind, error)
        return False
    _claimed(message).update(done_at=clock.database_now(), last_error="")
    return True


def _not_sent(message: Message, kind: Kind, error: Exception) -> None:
    now = clock.database_now()
    text = str(clean_details({"error": f"{error}" or type(error).__name__})["error"])
    log.warning("message_not_sent", kind=message.kind, message=str(message.pk), attempts=message.attempts, error=text)
    if isinstance(error, GiveUpError) or message.attempts > len(kind.schedule):
        _give_up(message, kind, text, now)
    else:
        _claimed(message).update(due_at=now + kind.schedule[message.attempts - 1], last_error=text)


def _give_up(message: Message, kind: Kind, text: str, now: datetime) -> None:
    with transaction.atomic():
        if not _claimed(message).update(failed_at=now, last_error=text):
            return
        what = {"kind": message.kind, "key": message.key, "error": text}
        record(Event.MESSAGE_GIVEN_UP, subject=message.pk, details={**what, "attempts": message.attempts})
        if kind.given_up is not None:
            kind.given_up(message)


def _claimed(message: Message) -> MessageQuerySet:
    """The row, under this very claim: once another one moved ``due_at``, or an operator did, the outcome is the next worker's."""
    return Message.objects.waiting().filter(pk=message.pk, due_at=message.due_at)


def send_again(*, message: uuid.UUID, by: Actor, context: Where) -> None:
    """Let an operator have a message tried at once, from the start of its schedule: one that waits, or was given up.

    Raises:
        Refusal: NOT_FOUND; VERSION_CHANGED when it was sent meanwhile, or a newer one for the same is open.
    """
    try:
        with transaction.atomic():
            row = Message.objects.select_for_update().filter(pk=message).first()
            if row is None:
                raise Refusal(Reason.NOT_FOUND, "no such message")
            if row.done_at is not None:
                raise Refusal(Reason.VERSION_CHANGED, "it was sent meanwhile")
            row.due_at, row.attempts, row.failed_at = clock.now(), 0, None
            row.save(update_fields=["due_at", "attempts", "failed_at"])
            record(Event.MESSAGE_SENT_AGAIN, context=context, actor=by, subject=row.pk, details={"kind": row.kind, "key": row.key})
    except IntegrityError as error:
        raise Refusal(Reason.VERSION_CHANGED, "a newer message about the same is waiting") from error


def sweep_messages() -> int:
    """Delete what was sent or given up long ago; how many."""
    now = clock.database_now()
    sent, _ = Message.objects.filter(done_at__lt=now - KEPT).delete()
    given_up, _ = Message.objects.filter(failed_at__lt=now - 6 * KEPT).delete()
    return sent + given_up
