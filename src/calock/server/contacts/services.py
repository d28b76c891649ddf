"""What other rooms do to contacts: those that a lost lock may have brought fall with it; a new secret encrypts all anew."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import F, Q

from calock.server.contacts.models import Contact
from calock.server.tools.rekeying import Rekeyed, batches, encrypt_anew

REACH = timedelta(days=30)
"""For so long before it is reported lost somebody else may have had a lock. An older contact is believed to be the person's."""


def end_contacts_of_locks(
    *, account: uuid.UUID, locks: Collection[uuid.UUID], at: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """End the contacts that stand on these locks by a proof of the last month, and give back those that were taken away so.

    Rows are deleted at once: nothing is told to whoever may be its finder. One that is given back is told, and opens nothing until
    it is verified anew: its person may have given the number up. What ended and what came back, as pages show it.
    """
    mine, since = Contact.objects.filter(account=account), at - REACH
    ended = list(mine.filter(by_lock__in=locks, verified_at__gt=since))
    mine.filter(Q(pk__in=[row.pk for row in ended]) | Q(verified_at=None)).delete()
    restored = []
    for row in mine.filter(removed_by_lock__in=locks, removed_at__gt=since).order_by("-removed_at"):
        if not mine.verified().filter(kind=row.kind).exists():
            row.removed_at = None
            row.save(update_fields=["removed_at"])
            restored.append(row.masked)
    return tuple(row.masked for row in ended if row.removed_at is None), tuple(restored)


def is_told_on(contact: Contact) -> bool:
    """Whether a contact that was taken away goes on being told of locks and passwords for ``REACH``.

    A proof by lock took it away, which a finder has, and it is older than anything that somebody else may have made: a young one
    may be a thief's, whom the person's own lock turned out.
    """
    if contact.removed_by_lock is None or contact.removed_at is None or contact.verified_at is None:
        return False
    return contact.verified_at <= contact.removed_at - REACH


def doubt_contacts_of_locks(*, account: uuid.UUID, locks: Collection[uuid.UUID], at: datetime) -> None:
    """Let those that would end open nothing until they are verified anew; they are told as before."""
    found = Contact.objects.kept().filter(account=account, by_lock__in=locks, verified_at__gt=at - REACH)
    found.update(removed_by_lock=F("by_lock"))


def hand_contacts_on(*, account: uuid.UUID, lock: uuid.UUID, heir: uuid.UUID) -> None:
    """What stood on ``lock`` stands on ``heir``."""
    for field in ("by_lock", "removed_by_lock"):
        Contact.objects.filter(account=account, **{field: lock}).update(**{field: heir})


def rekey_contacts() -> Rekeyed:
    """Encrypt contacts anew under the newest key."""
    found = Rekeyed("contacts")
    for batch in batches(Contact.objects.all()):
        for row in batch:
            encrypt_anew(found, row, "sealed", "contacts", row.about())
    return found
