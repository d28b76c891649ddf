"""A15: a certificate outside its dates is refused on every way in, not only at the login that somebody tested."""

from __future__ import annotations

from datetime import timedelta

import pytest
from worlds.browser import Browser, bound, logged_in, refusal_row
from worlds.practice import NOW, make_lock
from worlds.rows import PASSWORD

from calock.server.locks.models import Binding, Lock
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db

DAYS = timedelta(days=1)
OUTSIDE = [
    ({"not_before": NOW - 400 * DAYS, "not_after": NOW - 3 * DAYS}, "CERTIFICATE_EXPIRED"),
    ({"not_before": NOW + 3 * DAYS}, "CERTIFICATE_NOT_YET_VALID"),
    ({"not_before": NOW + 3 * DAYS, "not_after": NOW - 3 * DAYS}, "CERTIFICATE_VALIDITY_ORDER"),
]


@pytest.mark.parametrize(("dates", "reason"), OUTSIDE)
def test_a15_login_bind_step_up_and_unbind(lock_world, dates, reason):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    good, lock = make_lock("EC"), make_lock("EC", number=7, lock_id="SX-0007", **dates)
    binding = bound(good, lock_world.member)
    member = logged_in(lock_world.member)
    text = member.challenge("unbind", binding=str(binding.pk))
    end = {"reason": "离职", "challenge": text, "token": lock.sign(text)}
    for answer in (
        Browser().log_in(lock),
        member.bind(lock, lock_world.member),
        member.step_up(lock),
        member.post(f"/api/bindings/{binding.pk}/end", end),
    ):
        refusal_row(answer, reason)
    assert Binding.objects.live().filter(pk=binding.pk).exists()
    assert [row.lock_id for row in Lock.objects.all()] == [binding.lock.lock_id]
    assert not Session.objects.filter(lock__isnull=False).exists()
