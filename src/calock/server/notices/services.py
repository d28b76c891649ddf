"""Leave a notice, and dismiss one. Mail and SMS are sent of the same rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from calock.core.refusals import Reason, Refusal
from calock.server.audit.models import AuditEvent
from calock.server.notices.models import Notice, NoticeKind

_SELF = {"by_role": "self"}


class Person(Protocol):
    """Who did it: an account."""

    @property
    def pk(self) -> uuid.UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...


class Own(Enum):
    """How a person is told of an act of their own."""

    NOT = auto()
    QUIETLY = auto()
    """By mail and SMS, and in 消息中心; not above every page, where it would be in their way."""
    ALOUD = auto()
    """As of another's act: somebody with the account's password could have done it in its person's name."""


def notify(kind: NoticeKind, *, account: uuid.UUID, by: Person | None, row: AuditEvent, own: Own = Own.NOT, **facts: str) -> None:
    """Tell ``account`` what ``by`` did, inside the transaction of the act. ``by`` None is the server's owner.

    ``row`` is the act's audit row: its number lets the person ask about it. ``own``: where it is an act of the account's own.
    """
    own_act = by is not None and by.pk == account
    if own_act and own is Own.NOT:
        return
    who = {**_who(by), **_SELF} if own_act else _who(by)
    _create(kind, account, row, {**facts, **who}, dismissed_at=row.at if own_act and own is Own.QUIETLY else None)


def _who(by: Person | None) -> dict[str, str]:
    """Role and name are shown; by the id a name is found that is to be forgotten."""
    return {"by": str(by.pk), "by_role": by.role, "by_name": by.name} if by else {"by": "", "by_role": "", "by_name": ""}


def tell(kind: NoticeKind, *, account: uuid.UUID, row: AuditEvent, **facts: str) -> None:
    """Tell ``account`` what happened to it, whoever did it: themselves, perhaps, or somebody in their name."""
    _create(kind, account, row, facts)


def _create(
    kind: NoticeKind, account: uuid.UUID, row: AuditEvent, facts: dict[str, str], *, dismissed_at: datetime | None = None
) -> None:
    facts = {**facts, "number": row.number}
    Notice.objects.create(account_id=account, kind=kind, facts=facts, created_at=row.at, site=row.site, dismissed_at=dismissed_at)


def dismiss(*, notice: uuid.UUID, by: uuid.UUID, at: datetime) -> None:
    """Hide a notice of the account ``by``; a second time changes nothing.

    Raises:
        Refusal: NOT_FOUND for another account's notice.
    """
    found = Notice.objects.filter(pk=notice, account=by).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "no notice of this account")
    found.dismiss(at)


def dismiss_all(*, by: uuid.UUID, at: datetime) -> None:
    """Hide all notices of the account ``by``."""
    Notice.objects.open_for(by).update(dismissed_at=at)


def notify_all(kind: NoticeKind, told: Iterable[tuple[uuid.UUID, AuditEvent, dict[str, str]]], *, by: Person | None) -> None:
    """As ``notify``, to many accounts at once: account, audit row and facts of each."""
    who = _who(by)
    Notice.objects.bulk_create(
        Notice(account_id=account, kind=kind, facts={**facts, **who, "number": row.number}, created_at=row.at, site=row.site)
        for account, row, facts in told
    )
