"""挂失: a lost lock logs nobody in, at once; it comes back with the lock and the password, or by an administrator."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from worlds.browser import Browser, context, lock_of_operator, logged_in, reason_of, refusal_row
from worlds.practice import ORIGIN, make_lock
from worlds.rows import PASSWORD, rewrite

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.models import AuditEvent
from calock.server.locks import step_up, suspension
from calock.server.locks.models import Binding
from calock.server.locks.step_up import Proved
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice
from calock.server.receipts.models import Receipt
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db
NEW = "Xin-Mi-Ma-2026-abc"


@pytest.fixture
def lock(lock_world):
    lock = make_lock()
    assert logged_in(lock_world.member).bind(lock, lock_world.member).status_code == 200
    return lock


def post(browser, act: str, *, reason: str = ""):
    path = f"/system/ca/{Binding.objects.live().get().pk}/{act}/"
    return browser.client.post(path, {"reason": reason}, headers={"origin": ORIGIN})


def lose(browser) -> None:
    assert post(browser, "suspend", reason="在出租车上丢失").status_code == 302


def resume(browser, lock):
    binding = Binding.objects.live().get()
    text = browser.challenge("resume", binding=str(binding.pk))
    return browser.post(f"/api/bindings/{binding.pk}/resume", {"challenge": text, "token": lock.sign(text)})


def test_a_lost_lock_logs_nobody_in_and_its_sessions_end_with_the_report(lock_world, lock):
    by_lock = Browser()
    assert by_lock.log_in(lock).status_code == 200
    member = logged_in(lock_world.member)
    lose(member)
    refusal_row(Browser().log_in(lock), "LOCK_REPORTED_LOST")
    assert by_lock.client.get("/sessions/").status_code == 302
    row = AuditEvent.objects.get(event="binding:lock:suspended")
    assert (row.actor, row.subject, row.details["sessions_ended"]) == (lock_world.member.pk, lock_world.member.pk, 1)
    page = member.client.get("/system/ca/?status=lost").content.decode()
    assert "已挂失" in page
    assert f"/system/ca/{Binding.objects.get().pk}/resume/" in page
    assert post(member, "suspend").status_code == 404  # it is reported lost already


def test_the_person_and_their_administrators_are_told_whoever_reported_it(lock_world, lock):
    lose(logged_in(lock_world.member))
    told = sorted((notice.account_id, notice.kind) for notice in Notice.objects.exclude(kind="lock_bound"))
    assert told == sorted([(lock_world.member.pk, "lock_suspended"), (lock_world.admin.pk, "member_lock_suspended")])
    assert "您的 CA 锁 SX-0001" in logged_in(lock_world.member).client.get("/system/").content.decode()
    assert "的 CA 锁 SX-0001 于" in logged_in(lock_world.admin).client.get("/system/").content.decode()


def test_a_lost_lock_stays_with_its_account_and_proves_nothing(lock_world, lock):
    member = logged_in(lock_world.member)
    lose(member)
    refusal_row(member.step_up(lock), "LOCK_REPORTED_LOST")
    for browser, owner in ((logged_in(lock_world.outsider), lock_world.outsider), (member, lock_world.member)):
        assert reason_of(browser.bind(lock, owner)) in ("LOCK_REPORTED_LOST", "HOLDER_NOT_ORGANISATION")
    assert Binding.objects.live().count() == 1


def test_it_comes_back_with_the_lock_and_the_password(lock_world, lock):
    member = logged_in(lock_world.member)
    lose(member)
    assert resume(member, lock).status_code == 200
    assert Browser().log_in(lock).status_code == 200
    row = AuditEvent.objects.get(event="binding:lock:resumed")
    assert row.subject == lock_world.member.pk
    kept = Receipt.objects.get(number=row.number)
    assert (kept.purpose, kept.account) == ("resume", lock_world.member.pk)
    assert reason_of(resume(member, lock)) == "BINDING_NOT_FOUND"  # nothing to resume any more


def test_its_finder_cannot_bring_it_back(lock_world, lock):
    member = logged_in(lock_world.member)
    lose(member)
    rewrite(*Session.objects.all(), password_proved_at=None, authenticated_at=timezone.now() - timedelta(hours=1))
    assert reason_of(resume(member, lock)) == "STEP_UP_REQUIRED"  # the lock alone, in a session that somebody left open
    another = make_lock(number=1, lock_id="SX-0002")
    fresh = logged_in(lock_world.member)
    refusal_row(resume(fresh, another), "STEP_UP_FAILED")  # a lock, but not this one
    refusal_row(Browser().log_in(lock), "LOCK_REPORTED_LOST")


def test_another_lock_of_the_account_does_not_bring_it_back(lock_world, lock):
    another = make_lock(number=1, lock_id="SX-0002")
    member = logged_in(lock_world.member)
    lose(member)
    lost = Binding.objects.live().get()
    assert member.bind(another, lock_world.member, choose="another").status_code == 200
    text = member.challenge("resume", binding=str(lost.pk))
    answer = member.post(f"/api/bindings/{lost.pk}/resume", {"challenge": text, "token": another.sign(text)})
    assert refusal_row(answer, "STEP_UP_FAILED").details["how"] == "lock"


def test_an_administrator_brings_it_back_with_a_reason_and_nobody_elses(lock_world, lock):
    admin = logged_in(lock_world.admin)
    lose(admin)
    for stranger in (lock_world.colleague, lock_world.outside_admin, lock_world.outsider):
        assert post(logged_in(stranger), "resume", reason="我捡到了").status_code == 404
    assert post(admin, "resume").status_code == 400
    assert post(admin, "resume", reason="锁在办公室找到").status_code == 302
    assert Browser().log_in(lock).status_code == 200
    kinds = Notice.objects.open_for(lock_world.member.pk).values_list("kind", flat=True)
    assert list(kinds) == ["lock_suspended", "lock_resumed"]


def test_nobody_reports_a_lock_lost_that_is_not_theirs(lock_world, lock):
    for stranger in (lock_world.colleague, lock_world.outside_admin, lock_world.outsider):
        assert post(logged_in(stranger), "suspend").status_code == 404
    assert Browser().log_in(lock).status_code == 200


def test_an_old_session_is_asked_who_is_there_first(lock_world, lock):
    member = logged_in(lock_world.member)
    Session.objects.update(authenticated_at=F("authenticated_at") - timedelta(minutes=6))
    answer = post(member, "suspend")
    assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/confirm/")
    assert Browser().log_in(lock).status_code == 200


def test_a_session_that_crossed_the_report_does_not_come_back_with_the_lock(lock_world, lock):
    crossing = Browser()
    assert crossing.log_in(lock).status_code == 200
    member = logged_in(lock_world.member)
    lose(member)
    Session.objects.filter(lock__isnull=False).update(ended_at=None)  # as if it was written a moment after the report
    assert resume(member, lock).status_code == 200
    assert crossing.client.get("/sessions/").status_code == 302


def test_an_operator_reports_it_for_somebody_who_rang(lock_world, lock):
    binding = Binding.objects.live().get()
    given = {"binding": binding.pk, "by": lock_world.operator, "context": context(account=lock_world.operator)}
    with pytest.raises(Refusal, match=Reason.REASON_MISSING):
        suspension.suspend_by_operator(reason=" ", **given)
    suspension.suspend_by_operator(reason="来电挂失，已核对身份证后四位", **given)
    refusal_row(Browser().log_in(lock), "LOCK_REPORTED_LOST")


def test_who_writes_to_the_database_does_not_bring_an_operators_lock_back(lock_world):
    given = {"by": lock_world.operator, "context": context(account=lock_world.operator)}
    lock_of_operator(lock_world.operator)
    binding = Binding.objects.get()
    suspension.suspend_by_operator(binding=binding.pk, reason="来电挂失", **given)
    Binding.objects.update(suspended_at=None)
    assert not Binding.objects.get().is_intact()
    suspension.suspend_by_operator(binding=binding.pk, reason="再次挂失", **given)
    assert Binding.objects.get().is_intact(), "it says again what it said"


def choose_by_lock(lock, new: str):
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    given = {"new": new, "again": new}
    assert browser.client.post("/password/", given, headers={"origin": ORIGIN}).status_code == 302
    return browser


def test_a_password_that_a_finder_chose_with_the_lock_falls_with_it(lock_world, lock):
    choose_by_lock(lock, NEW)
    login_with_password(username="zhangsan", password=NEW, context=context())
    lose(logged_in(lock_world.admin))
    assert not Session.objects.filter(account=lock_world.member, ended_at__isnull=True).exists()
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username="zhangsan", password=NEW, context=context())


def test_a_password_that_follows_from_one_that_a_finder_chose_falls_too_and_brings_nothing_back(lock_world, lock):
    choose_by_lock(lock, "Di-Yi-Ge-2026-abc")
    finder = Browser()
    entry = {"username": "zhangsan", "password": "Di-Yi-Ge-2026-abc"}
    assert finder.client.post("/login/", entry, headers={"origin": ORIGIN}).status_code == 302
    given = {"current": "Di-Yi-Ge-2026-abc", "new": NEW, "again": NEW}
    assert finder.client.post("/password/", given, headers={"origin": ORIGIN}).status_code == 302
    person = logged_in(lock_world.member)
    lose(person)
    assert finder.client.get("/sessions/").status_code == 302
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username="zhangsan", password=NEW, context=context())
    assert reason_of(resume(person, lock)) == "LOCK_PROOF_REQUIRED"


def test_who_chose_the_password_with_the_lock_does_not_resume_it_with_that_password(lock_world, lock):
    choose_by_lock(lock, NEW)
    person = logged_in(lock_world.member)
    lose(person)  # their own session goes on
    assert reason_of(resume(person, lock)) == "LOCK_PROOF_REQUIRED"


def test_one_operator_alone_does_not_open_an_account_that_goes_by_its_lock(lock_world, lock):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.lock_only = True
    lock_world.member.save()
    binding = Binding.objects.live().get()
    by = {"by": lock_world.operator, "context": context(account=lock_world.operator)}
    suspension.suspend_by_operator(binding=binding.pk, reason="来电挂失", **by)
    with pytest.raises(Refusal, match=Reason.PASSWORD_LOGIN_OFF):
        login_with_password(username="zhangsan", password=PASSWORD, context=context())


def test_one_operator_does_not_stop_another_ones_lock(lock_world):
    lock_of_operator(lock_world.operator)
    other = Account.objects.create_account(username="yunying09", name="运营乙", role=Role.OPERATOR)
    with pytest.raises(Refusal, match=Reason.NOT_ALLOWED):
        suspension.suspend_by_operator(binding=Binding.objects.get().pk, reason="来电", by=other, context=context(account=other))


def test_a_report_that_comes_while_the_lock_answers_wins(lock_world, lock, monkeypatch):
    member = logged_in(lock_world.member)

    def report_meanwhile(*_args, **_kwargs):
        Binding.objects.update(suspended_at=timezone.now())
        return Proved(Binding.objects.get().lock_id, {})

    monkeypatch.setattr(step_up, "prove", report_meanwhile)
    refusal_row(member.step_up(lock), "LOCK_REPORTED_LOST")
    assert not Session.objects.filter(proved_lock__isnull=False).exists()
