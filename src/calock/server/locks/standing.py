"""What stands on a lock: the password and the contacts that a proof with it brought, directly or through one another.

A finder who knows the PIN is taken for the person until the loss is reported, and makes other ways in meanwhile. These end
with the lock, in the same transaction, and what was taken away by it comes back. The model: docs/decisions/people.md.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from calock.server.accounts.calendar_links import drop_link
from calock.server.accounts.codes import lock_of_password
from calock.server.accounts.models import Account
from calock.server.contacts.services import REACH, doubt_contacts_of_locks, end_contacts_of_locks, hand_contacts_on
from calock.server.locks.decision_record import Details
from calock.server.locks.models import Binding, Lock
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_account, hold_sessions


class Fallen(NamedTuple):
    """What ended with a lock: whether the password did, and contacts as they are shown; and locks that came by it and stay."""

    password: bool = False
    contacts: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()

    @property
    def details(self) -> Details:
        """For the audit row of the act; empty when nothing stood on the lock."""
        said: Details = {
            "password_ended": self.password,
            "contacts_ended": list(self.contacts),
            "contacts_restored": list(self.restored),
            "locks_bound_by_it": list(self.locks),
        }
        return {name: value for name, value in said.items() if value}

    @property
    def facts(self) -> dict[str, str]:
        """For the notice of the act: each fact adds a sentence to it (``notices/words.py``)."""
        lists = {"ended": self.contacts, "restored": self.restored, "bound_by_it": self.locks}
        facts = {name: "、".join(found) for name, found in lists.items() if found}
        return {**facts, "password_ended": "1"} if self.password else facts


def password_stands_on(row: Binding, account: Account, *, at: datetime) -> bool:
    """Whether the account's password, also one that has ended, stands on the binding's lock."""
    return lock_of_password(account, at=at) in _bound_by(row, at=at)


def _bound_by(row: Binding, *, at: datetime) -> frozenset[uuid.UUID]:
    """The lock itself, and those that were bound in the last month by a proof that stands on it: a finder may have brought them."""
    found = {row.lock_id}
    made = Binding.objects.filter(account=row.account_id, bound_at__gt=at - REACH, by_lock__isnull=False)
    for lock, by in made.order_by("bound_at").values_list("lock", "by_lock"):
        if by in found:
            found.add(lock)
    return frozenset(found)


def bound_by_it(row: Binding, *, at: datetime) -> tuple[str, ...]:
    """The other live locks of the account that came by this one in the last month, as notices call them."""
    left = Binding.objects.live().select_related("lock").filter(account=row.account_id, lock__in=_bound_by(row, at=at))
    return tuple(other.called for other in left.exclude(pk=row.pk))


def end_what_stands_on(row: Binding, *, by: Account, context: RequestContext) -> Fallen:
    """End what stands on the binding's lock. Inside the caller's transaction, which holds the account as ``row.account``.

    Locks that were bound with it stay bound, since an honest spare would be shut out: the person is told which.
    """
    locks = _bound_by(row, at=context.at)
    contacts, restored = end_contacts_of_locks(account=row.account_id, locks=locks, at=context.at)
    drop_link(row.account, context=context, since=context.at - REACH)
    return Fallen(_end_password(row, by=by, context=context), contacts, restored, bound_by_it(row, at=context.at))


def doubt_what_stands_on(row: Binding, *, by: Account, context: RequestContext) -> Fallen:
    """The same for who leaves, whose contacts go on being told: they open nothing until they are verified anew."""
    doubt_contacts_of_locks(account=row.account_id, locks=_bound_by(row, at=context.at), at=context.at)
    return Fallen(_end_password(row, by=by, context=context))


def _end_password(row: Binding, *, by: Account, context: RequestContext) -> bool:
    """End it and the sessions of who came in by it, but the one in which the person themselves acts."""
    account = row.account
    if not account.has_usable_password() or not password_stands_on(row, account, at=context.at):
        return False
    hold_sessions(account.pk)
    account.set_unusable_password()
    account.save_closed(update_fields=["password"])
    own = context.session if by.pk == account.pk else None
    end_sessions_of_account(account_id=account.pk, reason="password ended with lock", at=context.at, but=own)
    return True


def hand_on(row: Binding, *, heir: Lock, **_: object) -> Fallen:
    """Another lock took this one's place by a proof with this one: what stood on it stands on the other. Inside the transaction."""
    account = row.account
    if account.password_by_lock_id == row.lock_id:
        account.password_by_lock = heir
        account.save(update_fields=["password_by_lock"])
    hand_contacts_on(account=account.pk, lock=row.lock_id, heir=heir.pk)
    return Fallen()
