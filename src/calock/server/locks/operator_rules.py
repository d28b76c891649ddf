"""What holds for the locks of operators alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Binding, LockCertificate
from calock.server.locks.password_rules import is_enrolling


def require_enrolment(by: Account, *, at: datetime) -> None:
    """An operator's first lock is bound within a time that the owner or two operators gave: a password alone makes no operator.

    Raises:
        Refusal: LOCK_ENROLMENT_CLOSED.
    """
    needs_lock = by.role == Role.OPERATOR and settings.CALOCK.operators_need_lock
    if needs_lock and not is_enrolling(by, at=at):
        raise Refusal(Reason.LOCK_ENROLMENT_CLOSED, "no time was given in which this operator may bind a lock")


def require_own_person(operator: Account, holder_hmacs: Sequence[str]) -> Account:
    """The operator's row, locked, when no other operator has a lock of the same person: one person holds one of two votes.

    Every operator's row is locked, in one order: two who bind at the same moment see each other. A certificate without a holder's
    id (``holder_hmacs`` holds but an empty text) tells nothing.

    Raises:
        Refusal: OPERATOR_HOLDER_KNOWN.
    """
    rows = list(Account.objects.filter(role=Role.OPERATOR).select_for_update(no_key=True).order_by("pk"))
    others = Binding.objects.live().filter(account__role=Role.OPERATOR).exclude(account=operator).values("lock")
    if holder_hmacs[0] and LockCertificate.objects.filter(lock__in=others, holder_hmac__in=holder_hmacs).exists():
        raise Refusal(Reason.OPERATOR_HOLDER_KNOWN, "another operator has a lock of the same person")
    own: Account = next(row for row in rows if row.pk == operator.pk)
    return own
