"""Rows that somebody put back as they were, with the seal of that time: the trail tells.

A binding before its end or before 挂失, an account before 停用 or before its password was chosen anew, a contact before it was
taken away, a claim of a list before it became a binding or was let go. A seal proves that the server once wrote the row, not that
it is the newest. The trail is only added to, each row of it has a MAC of its own, and what is taken out of it is found
(docs/decisions/audit.md). It knows no more than it still holds.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from django.db.models import QuerySet

from calock.server.accounts.models import Account, AccountState
from calock.server.audit.canonical import is_intact
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.contacts.models import Contact
from calock.server.locks.models import Binding, PendingBinding
from calock.server.tools.rekeying import batches

CHOSEN = (Event.ACCOUNT_PASSWORD_CHANGED, Event.ACCOUNT_PASSWORD_CHOSEN, Event.ACCOUNT_PASSWORD_RESET)
APART = timedelta(minutes=1)
"""By so much an act's row in the trail may be younger than what the act wrote."""


def put_back_rows() -> Iterator[str]:
    """One line for each."""
    live: QuerySet[Binding] = Binding.objects.live().select_related("account")
    for batch in _said(Event.BINDING_ENDED):
        yield from _live_again(live, batch)
    for batch in _said(Event.BINDING_SUSPENDED):
        yield from _used_again(live.filter(suspended_at=None), batch)
    for batch in _said(Event.ACCOUNT_DISABLED):
        yield from _enabled_again(batch)
    for batch in _said(Event.CONTACT_REMOVED):
        yield from _contacts_again(batch)
    for batch in _said(*CHOSEN):
        yield from _former_passwords({row.subject: row.at for row in batch if row.subject})
    for claims in batches(PendingBinding.objects.all()):
        yield from _claimed_again({claim.account_id for claim in claims})


def _claimed_again(accounts: Collection[uuid.UUID]) -> Iterator[str]:
    """The rows are read after the trail was asked: whatever ends a claim deletes it."""
    for row in PendingBinding.objects.select_related("account").filter(pk__in=claims_over(accounts)):
        yield f"claim {row.pk} of {row.account.username}: it was used or let go"


def claims_over(accounts: Collection[uuid.UUID]) -> set[str]:
    """Ids of the claims of these accounts that became a binding or were let go."""
    events = (Event.BINDING_ADDED, Event.BINDING_CLAIM_ENDED)
    said = AuditEvent.objects.filter(event__in=events, reason="", subject__in=accounts)
    return {str(row.details["claim"]) for row in said if "claim" in row.details and is_intact(row)}


def _said(*events: Event) -> Iterator[list[AuditEvent]]:
    """What was done; a refusal bears the name of the act too, and a reason."""
    for batch in batches(AuditEvent.objects.filter(event__in=events, reason="")):
        yield [row for row in batch if is_intact(row)]


def _live_again(live: QuerySet[Binding], said: Iterable[AuditEvent]) -> Iterator[str]:
    for row in live.filter(pk__in={row.details.get("binding") for row in said}):
        yield f"binding {row.pk} of {row.account.username}: it ended"


def _used_again(used: QuerySet[Binding], said: Iterable[AuditEvent]) -> Iterator[str]:
    """The trail is asked after the rows were read: it tells of whatever made them so."""
    lost = {row.details.get("binding"): row for row in said}  # the last one of each
    for row in used.filter(pk__in=lost):
        if not _is_resumed(lost[str(row.pk)]):
            yield f"binding {row.pk} of {row.account.username}: it was reported lost"


def _is_resumed(row: AuditEvent) -> bool:
    later = AuditEvent.objects.filter(event=Event.BINDING_RESUMED, lock=row.lock, pk__gt=row.pk)
    return any(other.details.get("binding") == row.details.get("binding") and is_intact(other) for other in later)


def _enabled_again(said: Iterable[AuditEvent]) -> Iterator[str]:
    disabled = {row.subject: row.pk for row in said}  # the last one of each
    for row in Account.objects.filter(pk__in=disabled, state=AccountState.ACTIVE):
        later = AuditEvent.objects.filter(event=Event.ACCOUNT_ENABLED, reason="", subject=row.pk, pk__gt=disabled[row.pk])
        if not any(map(is_intact, later)):
            yield f"account {row.username}: it was disabled"


def _contacts_again(said: Iterable[AuditEvent]) -> Iterator[str]:
    """One that came back with the loss of a lock opens nothing: whoever verifies it anew has another row."""
    for row in Contact.objects.opening().filter(pk__in={row.details.get("contact_id") for row in said}).select_related("account"):
        yield f"contact {row.pk} of {row.account.username}: it was taken away"


def _former_passwords(chosen: dict[uuid.UUID, datetime]) -> Iterator[str]:
    """``chosen``: when the trail says last that an account's password was chosen or taken away."""
    for row in Account.objects.filter(pk__in=chosen):
        known = max((at for at in (row.password_changed_at, row.password_reset_at) if at), default=None)
        if known is None or chosen[row.pk] - known > APART:
            yield f"account {row.username}: its password was chosen anew"
