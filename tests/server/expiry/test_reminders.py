"""到期提醒: one reminder for each window before a certificate's end, whoever looks and however often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in
from worlds.practice import NOW, make_lock
from worlds.races import in_parallel
from worlds.rows import PASSWORD, account, lock_row

from calock.server.accounts.models import AccountState
from calock.server.audit.models import AuditEvent
from calock.server.expiry import reminders
from calock.server.expiry.models import Reminder
from calock.server.expiry.reminders import WINDOWS, remind
from calock.server.locks.models import Awaits, Binding, Lock
from calock.server.locks.step_up import Evidence
from calock.server.locks.suspension import resume_lock, suspend_lock
from calock.server.locks.unbinding import unbind_lock
from calock.server.notices.models import Notice
from calock.server.notices.words import words_of
from calock.server.portal.templatetags.portal import whole_dates
from calock.server.providers.models import Provider

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
END = NOW + 400 * DAY
AGAIN = NOW + 800 * DAY


def give(owner, lock_id="SX-0001", *, end=END, **fields) -> Binding:
    provider = Provider.objects.order_by("code").first()
    lock = lock_row(provider, lock_id, provider.ca_records.get(anchor=False), not_after=end)
    return Binding.objects.create(lock=lock, account=owner, bound_by=owner, bound_at=NOW, site="shanxi", **fields)


def written() -> list[int]:
    return list(Reminder.objects.order_by("written_at").values_list("window", flat=True))


def still_open(owner) -> list[str]:
    return list(Notice.objects.open_for(owner.pk).values_list("kind", flat=True))


def test_each_window_is_told_once_however_often_it_is_looked_and_the_last_word_stands_alone(lock_world):
    give(lock_world.member)
    looks = {left + shift for left in (*WINDOWS, 0) for shift in (1, 0, -1)}
    for left in sorted({100, *looks, -29, -40}, reverse=True):
        remind(at=END - left * DAY)
    assert written() == [*WINDOWS, 0]
    rows = AuditEvent.objects.filter(event="binding:lock:reminded")
    assert [row.details["window"] for row in rows.order_by("id")] == [*WINDOWS, 0]
    assert set(rows.values_list("subject", flat=True)) == {lock_world.member.pk}
    assert still_open(lock_world.member) == ["lock_expired"]


@pytest.mark.parametrize(("left", "told"), [(20 * DAY, [30]), (DAY / 24, [1]), (91 * DAY, []), (-DAY, [0]), (-31 * DAY, [])])
def test_a_lock_first_seen_late_is_told_of_the_window_that_it_is_in(lock_world, left, told):
    give(lock_world.member)
    assert remind(at=END - left) == len(told)
    assert written() == told


def test_nobody_is_told_of_a_lock_that_does_not_log_them_in(lock_world):
    give(lock_world.member, "SX-1", suspended_at=NOW)
    give(lock_world.member, "SX-2", awaits=Awaits.MEMBER)
    give(lock_world.member, "SX-3", unbound_at=NOW)
    give(account("zou", "周走", state=AccountState.DISABLED), "SX-4")
    give(lock_world.member, "SX-5").lock.certificates.update(revoked_at=NOW)
    assert remind(at=END - DAY) == 0


def end_it(world, binding, how: str) -> None:
    made = context(account=world.member)
    if how == "unbound":
        unbind_lock(binding=binding.pk, reason="换锁", evidence=Evidence(password=PASSWORD), by=world.member, context=made)
    elif how == "lost":
        suspend_lock(binding=binding.pk, reason="", by=world.member, context=made)
    else:
        assert Browser().log_in(make_lock(not_after=AGAIN)).status_code == 200


@pytest.mark.parametrize("how", ["unbound", "lost", "renewed"])
def test_the_series_ends_and_its_open_reminder_goes_when_the_lock_is(lock_world, how):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    binding = bound(make_lock(not_after=END), lock_world.member)
    assert remind(at=END - 20 * DAY) == 1
    assert "lock_expires" in still_open(lock_world.member)
    end_it(lock_world, binding, how)
    assert "lock_expires" not in still_open(lock_world.member)
    assert remind(at=END - 5 * DAY) == 0
    if how == "lost":
        resume_lock(
            binding=binding.pk, reason="找到了", evidence=Evidence(), by=lock_world.admin, context=context(account=lock_world.admin)
        )
        assert remind(at=END - 5 * DAY) == 1
    if how == "renewed":
        assert remind(at=AGAIN - 20 * DAY) == 1  # the new certificate begins its own


def test_the_words_name_the_lock_and_the_next_act_by_the_register_and_say_when_it_is_the_last(lock_world):
    give(lock_world.member, label="财务室")
    provider = Provider.objects.order_by("code").first()
    provider.renew_url = "https://ca.example.cn/renew"
    provider.save()
    remind(at=END - 60 * DAY)
    assert "唯一" not in words_of(Notice.objects.get(dismissed_at=None)).text
    remind(at=END - 20 * DAY)
    words = words_of(Notice.objects.get(dismissed_at=None))
    for part in ("SX-0001（财务室）", "将于", "续期电话：0351-1234567", "这是您唯一可以登录的 CA 锁"):
        assert part in words.text
    assert words.link == "https://ca.example.cn/renew"
    for site in ("shanxi", "zcy"):
        page = logged_in(lock_world.member, site=site).client.get("/system/ca/").content.decode()
        assert whole_dates(words.text) in page
        assert 'href="https://ca.example.cn/renew" rel="noopener noreferrer"' in page
    give(lock_world.member, "SX-0002", end=END + 300 * DAY)
    remind(at=END - 7 * DAY)
    assert "唯一" not in words_of(Notice.objects.get(dismissed_at=None)).text


def test_it_is_the_only_lock_when_the_other_one_does_not_log_in(lock_world):
    give(lock_world.member)
    give(lock_world.member, "SX-0002", end=END - 60 * DAY)
    remind(at=END - 20 * DAY)
    assert [notice.facts["only"] for notice in Notice.objects.filter(kind="lock_expires")] == ["1"]


def test_what_was_told_is_told_again_when_a_lost_lock_comes_back(lock_world):
    binding = give(lock_world.member, end=timezone.now() + 20 * DAY)
    assert remind(at=timezone.now()) == 1
    made = context(account=lock_world.admin)
    suspend_lock(binding=binding.pk, reason="", by=lock_world.admin, context=made)
    resume_lock(binding=binding.pk, reason="找到了", evidence=Evidence(), by=lock_world.admin, context=made)
    assert [remind(at=timezone.now() + hours * DAY / 24) for hours in (1, 2)] == [1, 0]
    assert "lock_expires" in still_open(lock_world.member)


def test_one_that_meets_a_fault_keeps_no_other_from_being_written(lock_world, monkeypatch):
    first, *others = sorted((give(lock_world.member, f"SX-{number}") for number in range(3)), key=lambda row: row.pk)
    monkeypatch.setattr(reminders, "BATCH", 1)
    act = reminders._next_act

    def broken(lock: Lock) -> dict[str, str]:
        if lock.pk == first.lock_id:
            raise ValueError("of this row")
        return act(lock)

    monkeypatch.setattr(reminders, "_next_act", broken)
    with pytest.raises(ValueError, match="of this row"):
        remind(at=END - 20 * DAY)
    assert set(Reminder.objects.values_list("binding", flat=True)) == {row.pk for row in others}


@pytest.mark.django_db(transaction=True)
def test_two_machines_that_look_at_the_same_moment_write_it_once(committed_lock_world):
    for number in range(5):
        give(committed_lock_world.member, f"SX-{number}")
    at = END - 20 * DAY
    results = in_parallel([lambda: remind(at=at)] * 3)
    assert sum(results) == 5
    assert (
        Reminder.objects.count() == Notice.objects.count() == AuditEvent.objects.filter(event="binding:lock:reminded").count() == 5
    )
