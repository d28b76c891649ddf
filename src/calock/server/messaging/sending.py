"""Messages of the outbox that go to contacts: notices and codes, by mail and by SMS, each with a lane of its own.

A notice is written by whoever has something to tell. ``forward_notices``, in the background, leaves one message for each verified
contact of its account; so one notice is one message, however many machines there are.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from calock.server.accounts.models import AccountState
from calock.server.accounts.password_tries import Count, keys_of
from calock.server.contacts.models import Contact, ContactCode
from calock.server.contacts.services import REACH, is_told_on
from calock.server.messaging import channels
from calock.server.messaging.letters import letter_of_code, letter_of_more, letter_of_notice
from calock.server.notices.models import Notice, NoticeKind
from calock.server.outbox.kinds import GiveUpError
from calock.server.outbox.models import Message
from calock.server.outbox.services import put
from calock.server.tools import clock

CODE_LIFE = timedelta(minutes=15)
BATCH = 500
MOST_NOTICES = 30
"""Notices that one contact gets in an hour of the clock; then one message says that there are more."""
ALWAYS = frozenset({
    NoticeKind.PASSWORD_RESET,
    NoticeKind.PASSWORD_CHANGED,
    NoticeKind.LOCK_SUSPENDED,
    NoticeKind.LOCK_RESUMED,
    NoticeKind.CONTACT_ADDED,
    NoticeKind.CONTACT_REMOVED,
    NoticeKind.CONTACT_TAKEN,
    NoticeKind.LOCK_BOUND,
    NoticeKind.LOCK_CLAIMED,
    NoticeKind.LOCK_ACTIVATED,
    NoticeKind.LOCK_RENEWED,
    NoticeKind.LOCK_UNBOUND,
    NoticeKind.LOCK_ONLY_CHANGED,
    NoticeKind.LEFT,
})  # fmt: skip
"""Sent beyond those too: nobody hides a way into the account behind thirty smaller things.

And for ``REACH`` to an old contact that a proof by a lock took away: where that was a finder's act, its person learns what else
is done.
"""


def forward_notices() -> int:
    """Leave the messages of notices that were written since; how many notices. Two machines at once take different rows."""
    rows = Notice.objects.known().filter(forwarded_at__isnull=True).order_by("created_at")
    if not rows.exists():  # nearly always: no transaction for that
        return 0
    ready = channels.ready_kinds()
    with transaction.atomic():
        taken = list(rows.select_for_update(skip_locked=True)[:BATCH])
        contacts = Contact.objects.filter(account__in={row.account_id for row in taken}, kind__in=ready)
        by_account: dict[uuid.UUID, list[Contact]] = {}
        for contact in contacts.filter(verified_at__isnull=False):
            by_account.setdefault(contact.account_id, []).append(contact)
        now = clock.database_now()
        pairs = [(row, contact) for row in taken for contact in by_account.get(row.account_id, ()) if is_for(row, contact)]
        for row, contact in sorted(pairs, key=lambda pair: pair[1].pk):  # two machines hold counts in one order: no deadlock
            _put_notice(row, contact, at=now)
        Notice.objects.filter(pk__in=[row.pk for row in taken]).update(forwarded_at=now)
    return len(taken)


def is_for(notice: Notice, contact: Contact) -> bool:
    """Whether the contact was the person's when the notice was left.

    A removed one learns of that, and of nothing later, unless it is told on: then of what opens or closes the account.
    """
    if contact.account_id != notice.account_id or contact.verified_at is None:
        return False
    if contact.removed_at is None or notice.created_at <= contact.removed_at:
        return True
    return notice.kind in ALWAYS and notice.created_at <= contact.removed_at + REACH and is_told_on(contact)


def _put_notice(notice: Notice, contact: Contact, *, at: datetime) -> None:
    kind, hour = f"notice-{contact.kind}", f"{contact.pk} {at:%Y-%m-%d %H}"
    count = Count(keys_of("notices", hour), "contact", MOST_NOTICES, timedelta(hours=1))
    if notice.kind in ALWAYS or count.take(at):
        put(kind, key=f"{notice.pk} {contact.pk}", body={"notice": str(notice.pk), "contact": str(contact.pk)})
    elif count.became_full():
        put(kind, key=f"more {contact.pk}", body={"notice": "", "contact": str(contact.pk)})


def send_notice(message: Message) -> None:
    """Send one notice to one contact. What is gone meanwhile, notice or contact, is not sent."""
    contact = Contact.objects.filter(pk=message.body["contact"], verified_at__isnull=False).first()
    if contact is None:
        return
    if not message.body["notice"]:
        if contact.removed_at is None:
            channels.send(contact.kind, letter_of_more(contact, id_=str(message.pk)))
        return
    notice = Notice.objects.filter(pk=message.body["notice"]).exclude(account__state=AccountState.ERASED).first()
    if notice is not None and is_for(notice, contact):
        channels.send(contact.kind, letter_of_notice(notice, contact, id_=str(message.pk)))


def send_code(message: Message) -> None:
    """Send a code to the contact that it proves.

    Raises:
        GiveUpError: its time is over.
    """
    code = ContactCode.objects.select_related("contact").filter(pk=message.body["code"], contact__removed_at__isnull=True).first()
    if code is None or code.used_at is not None:
        return
    deliver_code(code, site=str(message.body["site"]), language=str(message.body["language"]))


def deliver_code(code: ContactCode, *, site: str, language: str) -> None:
    """Send a code now.

    Raises:
        GiveUpError: its time is over.
    """
    if code.expires_at <= clock.database_now():
        raise GiveUpError("the code's time is over")
    minutes = int(CODE_LIFE / timedelta(minutes=1))
    channels.send(code.contact.kind, letter_of_code(code, minutes=minutes, site=site, language=language))


def sweep_contacts(*, at: datetime) -> int:
    """Delete contacts that were taken away, or never verified, once nothing is sent to them any more; and old codes. How many."""
    day = timedelta(days=1)
    removed = Q(removed_at__lt=at - 3 * day, removed_by_lock=None) | Q(removed_at__lt=at - REACH)  # a lost lock gives it back
    gone = Contact.objects.filter(removed | Q(verified_at=None, added_at__lt=at - day))
    old = ContactCode.objects.filter(expires_at__lt=at - day)
    return old.delete()[0] + gone.delete()[0]
