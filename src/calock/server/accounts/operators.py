"""What is decided about an operator's own lock: the time in which they may bind one."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.members import locked, record_change
from calock.server.accounts.models import Account, Role
from calock.server.audit.events import Event
from calock.server.sessions.context import RequestContext

ENROLMENT = timedelta(hours=72)
"""As long as a one-time code: the weekend between creating an operator and their first day."""


def open_enrolment(*, operator: Account, by: Account | None, context: RequestContext | None) -> datetime:
    """Give an operator a time in which they log in with the password and bind a lock: their first one, or when all are lost.

    As the server's owner wants (``by`` None), or as two operators decided. Binding a lock ends it.

    Raises:
        Refusal: REQUEST_MALFORMED for an account that is no operator's, OPERATOR_DAMAGED.
    """
    until = (context.at if context else timezone.now()) + ENROLMENT
    with transaction.atomic():
        account = locked(operator)
        if account.role != Role.OPERATOR:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户不是运营人员")
        account.lock_enrolment_until = until
        account.save(update_fields=["lock_enrolment_until"])
        record_change(Event.ACCOUNT_ENROLMENT_OPENED, account, by=by, context=context, until=until.isoformat(timespec="seconds"))
    return until
