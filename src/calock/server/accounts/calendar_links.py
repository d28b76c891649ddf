"""The secret address of an account's calendar: made, made anew, ended by its person; dead with password or account.

A calendar program cannot log in, so the address is the key: 128 random bits (GB/T 22239-2019, 8.1.4.1; RFC 4086), shown once, kept
as SHA-256, and in the query, which no line of our logs holds.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import acting
from calock.server.accounts.models import Account, CalendarLink
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.organisations.models import OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.tools import throttle
from calock.server.tools.digests import digest
from calock.server.tools.throttle import Sender

BYTES = 16


def make_link(*, account: Account, context: RequestContext) -> str:
    """A new token for the account, in place of an earlier one: the only time that the server has it.

    Raises:
        Refusal: NOT_ALLOWED for an account that was disabled a moment ago.
    """
    token = secrets.token_urlsafe(BYTES)
    with transaction.atomic():
        acting(account)
        made = {"digest": digest(token), "created_at": context.at}
        CalendarLink.objects.update_or_create(account=account, defaults=made)
        row = record(Event.CALENDAR_LINK_MADE, context=context, actor=account, subject=account.pk)
        tell(NoticeKind.CALENDAR_LINK, account=account.pk, row=row)
    return token


def end_link(*, account: Account, context: RequestContext) -> None:
    """End the account's link; nothing happens where there is none."""
    with transaction.atomic():
        if CalendarLink.objects.filter(account=account).delete()[0]:
            record(Event.CALENDAR_LINK_ENDED, context=context, actor=account, subject=account.pk)


def drop_link(account: Account, *, context: RequestContext | None, since: datetime | None = None) -> None:
    """End the account's link, or one that was made ``since``, with what let in whoever has the address. Inside the transaction."""
    found = CalendarLink.objects.filter(account=account, **({"created_at__gt": since} if since else {}))
    if found.delete()[0]:
        record(Event.CALENDAR_LINK_ENDED, context=context, subject=account.pk)


def account_of(token: str, *, context: RequestContext) -> Account:
    """Whose calendar it is.

    Raises:
        Refusal: NOT_FOUND for a token that is wrong, was replaced or ended, or whose account or organisation is disabled;
            TOO_MANY_ATTEMPTS for who guesses, and for a program that asks all the time.
    """
    shown = digest(token)
    reader = Sender(f"calendar {shown}")
    throttle.refuse_when_too_many("calendar", context.sender)
    throttle.refuse_when_too_many("calendar", reader)
    link = CalendarLink.objects.select_related("account__organisation").filter(digest=shown).first()
    if link is None or not _is_open(link.account):
        throttle.count_failure("calendar", context.sender)
        raise Refusal(Reason.NOT_FOUND, "no calendar link that is in use")
    throttle.count_failure("calendar", reader)
    return link.account


def _is_open(account: Account) -> bool:
    organisation = account.organisation
    return account.is_active and (organisation is None or organisation.state == OrganisationState.ACTIVE)
