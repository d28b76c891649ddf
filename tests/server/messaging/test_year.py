"""到期提醒 by mail: a simulated year on two machines with a real mail server, one mail for each window and no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from server.messaging.conftest import MAIL
from server.messaging.test_delivery import contact
from worlds.mail import text_of
from worlds.practice import NOW
from worlds.races import in_parallel
from worlds.rows import lock_row

from calock.server.expiry.reminders import WINDOWS, remind
from calock.server.locks.models import Binding
from calock.server.messaging.sending import forward_notices
from calock.server.outbox.kinds import kind_named
from calock.server.outbox.services import claim, deliver
from calock.server.providers.models import Provider

DAY = timedelta(days=1)
END = NOW + 365 * DAY


@pytest.mark.django_db(transaction=True)
def test_a_year_of_reminders_is_one_mail_for_each_window_whatever_the_number_of_machines(committed_lock_world, mailbox):
    member = committed_lock_world.member
    contact(member)
    provider = Provider.objects.order_by("code").first()
    lock = lock_row(provider, "SX-0001", provider.ca_records.get(anchor=False), not_after=END)
    Binding.objects.create(lock=lock, account=member, bound_by=member, bound_at=NOW, site="shanxi")
    kind = kind_named("notice-mail")

    def machine() -> None:
        remind(at=now)
        forward_notices()
        for message in claim(kind, limit=10):
            assert deliver(message, kind)

    for days in sorted({*range(0, 365, 30), *(365 - window for window in WINDOWS), 359, 365, 366, 380, 400}):
        now = NOW + days * DAY
        failures = [result for result in in_parallel([machine] * 2) if result is not None]
        assert not failures, failures
    machine()
    mails = mailbox.to(MAIL)
    assert len(mails) == len(mailbox.mails) == len(WINDOWS) + 1
    assert len({mail["Message-ID"] for mail in mails}) == len(mails)
    assert sum("已于" in text_of(mail) for mail in mails) == 1
