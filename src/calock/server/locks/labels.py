"""备注 and 主锁/备用锁: what the people who use several locks call them. Words for people; nothing is decided by them."""

from __future__ import annotations

import uuid

from django.db import transaction

from calock.core.masking import mask_person_ids
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.decision_record import Details
from calock.server.locks.models import Binding, Rank
from calock.server.sessions.context import RequestContext

MAX_LABEL = 20


def label_lock(*, binding: uuid.UUID, label: str, rank: str, by: Account, context: RequestContext) -> Binding:
    """Name a lock that ``by`` sees, and say which of the account's locks it is. A second main lock makes the first one a spare.

    What says the same as before changes nothing, and writes no audit row.

    Raises:
        Refusal: BINDING_NOT_FOUND, BINDING_ALREADY_ENDED; REQUEST_MALFORMED for an unknown rank, and with ``longest`` for a label
            of more characters than that.
    """
    text = clean(mask_person_ids(" ".join(label.split())), MAX_LABEL + 1)
    if rank not in Rank.values:
        raise Refusal(Reason.REQUEST_MALFORMED, "unknown rank")
    if len(text) > MAX_LABEL:
        raise Refusal(Reason.REQUEST_MALFORMED, "label too long", {"longest": MAX_LABEL})
    with transaction.atomic():
        account = _account_of(binding, by)
        row: Binding = Binding.objects.select_related("account", "lock__provider").get(pk=binding)
        if row.unbound_at is not None:
            raise Refusal(Reason.BINDING_ALREADY_ENDED, "ended before")
        if (row.label, row.rank) == (text, rank):
            return row
        if rank == Rank.MAIN:
            others = Binding.objects.live().filter(account=account, rank=Rank.MAIN).exclude(pk=row.pk)
            others.update(rank=Rank.SPARE)
        row.label, row.rank = text, rank
        row.save(update_fields=["label", "rank"])
        # the trail holds no names, and so no label
        details: Details = {
            "binding": str(row.pk),
            "rank": rank,
            "for_other": account.pk != by.pk,
        }
        record(
            Event.LOCK_LABELLED,
            context=context,
            actor=by,
            subject=account.pk,
            organisation=account.organisation_id,
            lock=row.lock_id,
            details=details,
        )
    return row


def _account_of(binding: uuid.UUID, by: Account) -> Account:
    """The account, locked: two who name a main lock at the same moment come one after the other."""
    found = Binding.objects.visible_to(by).filter(pk=binding).values_list("account", flat=True).first()
    if found is None:
        raise Refusal(Reason.BINDING_NOT_FOUND, "not among the bindings this account sees")
    account: Account = Account.objects.select_for_update(no_key=True).get(pk=found)
    return account
