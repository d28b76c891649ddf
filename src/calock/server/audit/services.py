"""Write audit rows. Call ``record`` inside the transaction of the act: then there is no act without its row."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.audit.canonical import Value, clean, clean_details, mac_of, new_number
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.tools import figures, request_id


class Actor(Protocol):
    """Who acts: an account, of which the trail takes two ids."""

    @property
    def pk(self) -> uuid.UUID: ...
    @property
    def organisation_id(self) -> uuid.UUID | None: ...


class Where(Protocol):
    """From where and when somebody acts: the part of a request's context that the trail keeps."""

    @property
    def site(self) -> str: ...
    @property
    def ip(self) -> str | None: ...
    @property
    def user_agent(self) -> str: ...
    @property
    def at(self) -> datetime: ...


def build(
    event: Event,
    *,
    context: Where | None = None,
    actor: uuid.UUID | None = None,
    subject: uuid.UUID | None = None,
    organisation: uuid.UUID | None = None,
    lock: uuid.UUID | None = None,
    provider: str = "",
    reason: Reason | None = None,
    details: Mapping[str, Value] | None = None,
) -> AuditEvent:
    """An unsaved row with its MAC. ``context`` None is the server itself acting: jobs and commands.

    Its details name the request it was made in, if any: the log's lines have the same id.
    """
    told = clean_details(details or {})
    if number := request_id.current():
        told["request"] = number
    figures.events.labels(event.value, context.site if context else "", reason.value if reason else "").inc()
    at = context.at if context else timezone.now()
    row = AuditEvent(
        number=new_number(at),
        at=at,
        event=event.value,
        reason=reason.value if reason else "",
        site=context.site if context else "",
        actor=actor,
        subject=subject,
        organisation=organisation,
        lock=lock,
        provider=clean(provider, 50),
        ip=context.ip if context else None,
        user_agent=clean(context.user_agent if context else ""),
        details=told,
    )
    row.mac = mac_of(row)
    return row


def record(
    event: Event,
    *,
    context: Where | None = None,
    actor: Actor | None = None,
    subject: uuid.UUID | None = None,
    organisation: uuid.UUID | None = None,
    lock: uuid.UUID | None = None,
    provider: str = "",
    reason: Reason | None = None,
    details: Mapping[str, Value] | None = None,
) -> AuditEvent:
    """Append one row.

    ``subject`` is the id of what was acted on (an account, a binding, a package …); ``organisation`` defaults to the
    actor's. ``details`` hold technical values only: no names, PINs, passwords, challenges or tokens; personal ids are masked.
    """
    row = build(
        event,
        context=context,
        actor=actor.pk if actor else None,
        subject=subject,
        organisation=organisation or (actor.organisation_id if actor else None),
        lock=lock,
        provider=provider,
        reason=reason,
        details=details,
    )
    row.save(force_insert=True)
    return row


def record_all(rows: Iterable[AuditEvent]) -> None:
    """Append rows of ``build``, inside the transaction of their acts: for acts on many things at once."""
    AuditEvent.objects.bulk_create(list(rows))


def record_refusal(
    event: Event,
    refusal: Refusal,
    *,
    context: Where | None,
    actor: Actor | None = None,
    subject: uuid.UUID | None = None,
    lock: uuid.UUID | None = None,
    provider: str = "",
    details: Mapping[str, Value] | None = None,
) -> None:
    """Record a refusal in a transaction of its own and give it the row's number.

    ``lock`` and ``provider`` are what the refusal itself knows of them (``Refusal.about``) unless given; the rest of what it
    knows becomes details of the row.
    """
    about = dict(refusal.about)
    known_lock, known_provider = about.pop("lock", None), about.pop("provider", "")
    known = {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in about.items()}
    with transaction.atomic():
        row = record(
            event,
            context=context,
            actor=actor,
            subject=subject,
            lock=lock or (known_lock if isinstance(known_lock, uuid.UUID) else None),
            provider=provider or str(known_provider),
            reason=refusal.reason,
            details={"detail": refusal.detail, **(details or {}), **known},
        )
    refusal.number = row.number
