"""What other rooms do to contacts: those that a lost lock may have brought fall with it; a new secret encrypts all anew."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from calock.server.contacts.models import Contact
from calock.server.tools import encryption
from calock.server.tools.rekeying import Rekeyed, batches

REACH = timedelta(days=30)
"""For so long before it is reported lost somebody else may have had a lock. An older contact is believed to be the person's."""


def void_contacts_of_lock(*, account: uuid.UUID, lock: uuid.UUID, at: datetime) -> None:
    """Take contacts away that were verified by a proof with this lock in the last month: its finder could get back in by them."""
    Contact.objects.verified().filter(account=account, by_lock=lock, verified_at__gt=at - REACH).update(removed_at=at)


def rekey_contacts() -> Rekeyed:
    """Encrypt contacts anew under the newest key."""
    found = Rekeyed("contacts")
    newest = encryption.newest_prefix("contacts")
    for batch in batches(Contact.objects.all()):
        for row in batch:
            kept = bytes(row.sealed)
            if kept.startswith(newest):
                continue
            try:
                row.value = row.value
            except encryption.NotOpenedError as error:
                found.failed.append(f"{row.pk}: {error}")
            else:
                found.done += Contact.objects.filter(pk=row.pk, sealed=kept).update(sealed=row.sealed)
    return found
