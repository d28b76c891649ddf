"""An operator takes away a contact of somebody else's account: the number is another person's by now, or a thief's."""

from __future__ import annotations

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import OWNER_ONLY, clean_reason, require_authority, require_operator
from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.audit.services import record, record_refusal
from calock.server.contacts.models import Contact
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.sessions.context import RequestContext


def take_contact_away(*, member: Account, contact: str, reason: str, by: Account, context: RequestContext) -> None:
    """Take away the contact of ``member`` with the id ``contact``; it sets no password from then on.

    The person is told on their other contacts and in 消息中心, and the contact itself once.

    Raises:
        Refusal: REASON_MISSING; NOT_FOUND; NOT_ALLOWED for an operator's contact.
    """
    try:
        with transaction.atomic():
            operator = require_operator(by.pk)
            account = Account.objects.select_for_update(no_key=True).get(pk=member.pk)
            row = _takable(account, contact, by=operator)
            _take_away(row, account, reason=clean_reason(reason), by=operator, context=context)
    except Refusal as refusal:
        record_refusal(Event.CONTACT_REFUSED, refusal, context=context, actor=by, subject=member.pk)
        raise


def _takable(account: Account, contact: str, *, by: Account) -> Contact:
    require_authority(by, account)
    if account.role == Role.OPERATOR:
        raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
    row = next((one for one in Contact.objects.kept().filter(account=account) if str(one.pk) == contact), None)
    if row is None:
        raise Refusal(Reason.NOT_FOUND, "no contact of this account")
    return row


def _take_away(row: Contact, account: Account, *, reason: str, by: Account, context: RequestContext) -> None:
    shown = row.masked
    details: dict[str, str | bool] = {"kind": row.kind, "contact": shown, "contact_id": str(row.pk), "reason": reason}
    details["verified"] = row.verified_at is not None
    place = account.organisation_id
    event = record(
        Event.CONTACT_REMOVED, context=context, actor=by, subject=account.pk, organisation=place, details=details
    )  # fmt: skip
    row.removed_at, row.removed_by_lock = event.at, None
    row.save(update_fields=["removed_at", "removed_by_lock"])
    notify(NoticeKind.CONTACT_TAKEN, account=account.pk, by=by, row=event, contact=shown)
