"""One-time codes: people choose their passwords themselves, and a reset by somebody else opens no lock's binding (SEC03)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in, refusal_row
from worlds.practice import ORIGIN, make_lock
from worlds.rows import PASSWORD, rewrite

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.codes import LIFE, choose_password
from calock.server.accounts.models import Account, AccountState, PasswordCode
from calock.server.accounts.services import reset_password
from calock.server.audit.models import AuditEvent
from calock.server.locks.models import Binding
from calock.server.locks.password_rules import RESET_HOLD
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice, NoticeKind
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db

NEW = "Xin-Mi-Ma-2026-abc"


@pytest.fixture
def people(lock_world):
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    return lock_world


def reset(people, *, by="admin", member="member") -> str:
    actor = getattr(people, by)
    return reset_password(member=getattr(people, member), by=actor, context=context(account=actor))


def refused(username: str, code: str, new: str = NEW, **changed) -> Reason:
    with pytest.raises(Refusal) as caught:
        choose_password(username=username, code=code, new=new, context=context(**changed))
    return caught.value.reason


def test_a_reset_voids_the_password_at_once_and_the_code_sets_another(people):
    session = context(account=people.member).session
    code = reset(people)
    session.refresh_from_db()
    assert session.end_reason == "password reset"
    with pytest.raises(Refusal):
        login_with_password(username="zhangsan", password=PASSWORD, context=context())
    choose_password(username="zhangsan", code=code, new=NEW, context=context())
    assert login_with_password(username="zhangsan", password=NEW, context=context())
    row = AuditEvent.objects.get(event="account:password:reset")
    assert (row.actor, row.subject) == (people.admin.pk, people.member.pk)
    assert AuditEvent.objects.get(event="account:password:chosen").actor == people.member.pk


def test_a_code_is_read_as_people_write_it_down(people):
    code = reset(people)
    spoken = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    choose_password(username=" zhangsan ", code=spoken, new=NEW, context=context())
    assert Account.objects.get(username="zhangsan").check_password(NEW)


def test_a_code_works_once_for_its_account_within_72_hours(people):
    code = reset(people)
    assert refused("lisi", code) == Reason.PASSWORD_CODE_WRONG
    assert refused("niemand", code) == Reason.PASSWORD_CODE_WRONG
    assert refused("zhangsan", code[:-1] + ("0" if code[-1] != "0" else "1")) == Reason.PASSWORD_CODE_WRONG
    assert refused("zhangsan", code, at=timezone.now() + LIFE + timedelta(seconds=1)) == Reason.PASSWORD_CODE_WRONG
    choose_password(username="zhangsan", code=code, new=NEW, context=context())
    assert refused("zhangsan", code, new="Noch-Eins-2026") == Reason.PASSWORD_CODE_WRONG
    assert Account.objects.get(username="zhangsan").check_password(NEW)


def test_a_second_code_replaces_the_first(people):
    first, second = reset(people), reset(people)
    assert refused("zhangsan", first) == Reason.PASSWORD_CODE_WRONG
    choose_password(username="zhangsan", code=second, new=NEW, context=context())


def test_a_weak_password_does_not_use_the_code_up(people):
    code = reset(people)
    assert refused("zhangsan", code, new="zhangsan-2026") == Reason.PASSWORD_UNACCEPTABLE
    choose_password(username="zhangsan", code=code, new=NEW, context=context())


def test_a_disabled_account_gets_no_password(people):
    code = reset(people)
    Account.objects.filter(pk=people.member.pk).update(state=AccountState.DISABLED)
    assert refused("zhangsan", code) == Reason.PASSWORD_CODE_WRONG


def test_codes_cannot_be_tried_out(people, settings):
    settings.CALOCK = replace(settings.CALOCK, failures_per_minute=3)
    code = reset(people)
    reasons = [refused("zhangsan", f"AAAA-BBBB-CCCC-000{number}") for number in range(4)]
    assert reasons[-1] == Reason.TOO_MANY_ATTEMPTS
    assert refused("zhangsan", code) == Reason.TOO_MANY_ATTEMPTS  # the same address; from another one it works
    choose_password(username="zhangsan", code=code, new=NEW, context=context(ip="198.51.100.7"))


def test_the_database_keeps_no_code(people):
    code = reset(people)
    assert code.replace("-", "") not in repr(list(PasswordCode.objects.values())) + repr(list(AuditEvent.objects.values()))


def page(browser, **form):
    return browser.client.post("/password/code/", form, headers={"origin": ORIGIN})


def test_the_page_takes_a_code_and_logs_nobody_in(people):
    code = reset(people)
    browser = Browser()
    assert 'value="zhangsan"' in browser.client.get("/password/code/?account=zhangsan").content.decode()
    wrong = page(browser, username="zhangsan", code=code, new=NEW, again=NEW + "x")
    assert (wrong.status_code, "两次输入不一致" in wrong.content.decode()) == (400, True)
    wrong = page(browser, username="zhangsan", code="nonsense", new=NEW, again=NEW)
    assert (wrong.status_code, "代码不正确" in wrong.content.decode()) == (401, True)
    assert NEW not in wrong.content.decode()
    done = page(browser, username="zhangsan", code=code, new=NEW, again=NEW)
    assert done.headers["Location"] == "/password/code/?done"
    assert "请用新密码登录" in browser.client.get("/password/code/?done").content.decode()
    assert not Session.objects.filter(account=people.member, ended_at__isnull=True).exists()


# --- after a reset by somebody else


def after_reset(people, **kwargs):
    """The member's browser after a reset and a login with the password that came of it."""
    code = reset(people, **kwargs)
    choose_password(username="zhangsan", code=code, new=NEW, context=context())
    return logged_in(Account.objects.get(username="zhangsan"))


@pytest.mark.parametrize("by", ["admin", "operator"])
def test_sec03_a_reset_password_neither_unbinds_nor_binds_for_24_hours(people, by):
    own = make_lock()
    binding = bound(own, people.member)
    browser = after_reset(people, by=by)
    refusal_row(browser.post("/api/step-up", {"password": NEW}), "PASSWORD_RESET_LATELY")
    end = {"reason": "换锁", "password": NEW}
    refusal_row(browser.post(f"/api/bindings/{binding.pk}/end", end), "PASSWORD_RESET_LATELY")
    refusal_row(browser.bind(make_lock("EC", lock_id="SX-9"), people.member), "PASSWORD_RESET_LATELY")
    assert Binding.objects.live().get() == binding
    rewrite(*Account.objects.all(), password_reset_at=timezone.now() - RESET_HOLD - timedelta(seconds=1))
    assert browser.post(f"/api/bindings/{binding.pk}/end", end).status_code == 200


def test_the_lock_itself_still_proves_everything(people):
    own = make_lock()
    binding = bound(own, people.member)
    browser = after_reset(people)
    assert browser.step_up(own).status_code == 200
    challenge = browser.challenge("unbind", binding=str(binding.pk))
    body = {"reason": "换锁", "challenge": challenge, "token": own.sign(challenge)}
    assert browser.post(f"/api/bindings/{binding.pk}/end", body).status_code == 200


def test_a_member_without_a_lock_binds_one_right_after_a_reset(people):
    assert after_reset(people).bind(make_lock(), people.member).status_code == 200


def others_of(browser, people, binding) -> None:
    """What an administrator may not do within a day of a reset: bind, unbind, and everything of 人员管理."""
    refusal_row(browser.bind(make_lock("EC", lock_id="SX-9"), people.colleague), "PASSWORD_RESET_LATELY")
    refusal_row(browser.post(f"/api/bindings/{binding.pk}/end", {"reason": "x", "password": NEW}), "PASSWORD_RESET_LATELY")
    own = {"origin": ORIGIN}
    for address, form in (
        (f"/system/members/{people.member.pk}/", {"step": "reset"}),
        (f"/system/members/{people.member.pk}/", {"step": "disable"}),
        ("/system/members/", {"username": "neu", "name": "新"}),
        ("/system/members/way-in/", {"value": "off"}),
    ):
        answer = browser.client.post(address, form, headers=own)
        assert (answer.status_code, "满 24 小时后办理" in answer.content.decode()) == (403, True), (address, form)


def test_whoever_had_an_administrators_password_reset_gets_no_power_over_the_members(people):
    """Also when the administrator has no lock, and when whoever entered as them binds a lock of their own."""
    binding = bound(make_lock(), people.member)
    code = reset(people, by="operator", member="admin")
    choose_password(username="guanli", code=code, new=NEW, context=context())
    admin = Account.objects.get(username="guanli")
    browser = logged_in(admin)
    others_of(browser, people, binding)
    strange = make_lock("RSA", lock_id="SX-8")
    assert browser.bind(strange, admin).status_code == 200
    assert browser.step_up(strange).status_code == 200
    others_of(browser, people, binding)
    assert Binding.objects.live().filter(account=people.member).get() == binding
    assert people.member.has_usable_password()
    rewrite(Account.objects.get(pk=admin.pk), password_reset_at=timezone.now() - RESET_HOLD - timedelta(seconds=1))
    assert logged_in(Account.objects.get(pk=admin.pk)).bind(make_lock("EC", lock_id="SX-9"), people.colleague).status_code == 200


def test_an_administrator_goes_on_with_the_lock_they_had_before(people):
    held = make_lock()
    bound(held, people.admin)
    reset(people, by="operator", member="admin")
    browser = logged_in(Account.objects.get(pk=people.admin.pk))
    assert browser.step_up(held).status_code == 200
    assert browser.bind(make_lock("EC", lock_id="SX-9"), people.member).status_code == 200
    answer = browser.client.post(f"/system/members/{people.colleague.pk}/", {"step": "disable"}, headers={"origin": ORIGIN})
    assert answer.headers["Location"] == "/system/members/?done=disable"


def test_a_new_session_knows_what_was_proved_and_unbinding_takes_it_back(people):
    own, other = make_lock(), make_lock("EC", lock_id="SX-9")
    held, second = bound(own, people.member), bound(other, people.member)
    by_lock = Browser()
    assert by_lock.log_in(own).status_code == 200
    session = Session.objects.latest("created_at")
    assert (session.proved_lock_id, session.password_proved_at) == (held.lock_id, None)
    assert session.lock_proved_at == session.created_at
    browser = Browser()
    session = browser.enter(people.member)
    assert (session.lock_proved_at, session.password_proved_at) == (None, session.created_at)
    browser.step_up(other)
    session.refresh_from_db()
    assert session.proved_lock_id == second.lock_id
    assert session.lock_proved_at > session.password_proved_at
    browser.post("/api/step-up", {"password": PASSWORD})
    session.refresh_from_db()
    assert session.proved_lock_id == second.lock_id
    assert session.password_proved_at > session.lock_proved_at
    assert (
        logged_in(people.member).post(f"/api/bindings/{second.pk}/end", {"reason": "换锁", "password": PASSWORD}).status_code == 200
    )
    session.refresh_from_db()
    assert (session.ended_at, session.lock_proved_at, session.proved_lock_id) == (None, None, None)


# --- being told


def told(browser) -> str:
    return browser.client.get("/system/").content.decode()


def unread(browser) -> str:
    return browser.client.get("/notices/?unread=1").content.decode()


def test_what_others_did_is_told_at_the_next_login_until_it_is_dismissed(people):
    binding = bound(make_lock(), people.member)
    ended = logged_in(people.admin)
    people.admin.set_password(PASSWORD)
    people.admin.save()
    assert ended.post(f"/api/bindings/{binding.pk}/end", {"reason": "换锁", "password": PASSWORD}).status_code == 200
    renewed = make_lock("EC", lock_id="SX-9")
    assert ended.bind(renewed, people.member).status_code == 200
    reset(people)
    browser = Browser()
    browser.log_in(renewed)
    said = ["由本单位管理员王管理重置", "绑定了 CA 锁 SX-9", "您的 CA 锁 SX-0001 于"]
    for left, notice in zip((2, 1, 0), Notice.objects.open_for(people.member.pk).order_by("-created_at"), strict=True):
        html = told(browser)  # the newest, and how many more there are
        assert notice.facts["number"] in html
        assert said[2 - left] in html
        assert not any(other in html for other in said if other != said[2 - left])
        assert (f"另有 {left} 条未读 · 查看全部" in html) is (left > 0)
        answer = browser.client.post(f"/notices/{notice.pk}/dismiss/", {"back": "/system/"}, headers={"origin": ORIGIN})
        assert answer.headers["Location"] == "/system/"
    assert "您的密码于" not in told(browser)
    assert browser.client.get("/notices/").content.decode().count("王管理") == 3


def test_whoever_had_the_password_reset_does_not_hide_that_from_its_person(people):
    own = make_lock()
    bound(own, people.member)
    browser = after_reset(people)
    notice = Notice.objects.get(kind=NoticeKind.PASSWORD_RESET)
    assert "知道了" not in told(browser)
    dismiss = f"/notices/{notice.pk}/dismiss/"
    assert browser.client.post(dismiss, headers={"origin": ORIGIN}).status_code == 403
    by_lock = Browser()
    by_lock.log_in(own)
    assert "由持有一次性代码的人修改" in told(by_lock)  # that the code was used is told as well
    assert "知道了" in told(by_lock)
    assert notice.facts["number"] in unread(by_lock)
    assert by_lock.client.post(dismiss, headers={"origin": ORIGIN}).status_code == 302
    assert notice.facts["number"] not in unread(by_lock)


def test_an_own_act_stands_above_no_page_and_stays_in_the_messages(people):
    """Somebody with a stolen password could have bound the lock: its person finds it there, and is sent it."""
    bound(make_lock(), people.member)
    browser = logged_in(people.member)
    assert "绑定了 CA 锁" not in told(browser)
    assert "由您本人的账户绑定了 CA 锁 SX-0001，持有该锁的人可以登录您的账户。绑定前用登录密码验证了身份。" in (
        browser.client.get("/notices/").content.decode()
    )


def test_a_notice_is_dismissed_by_its_own_person(people):
    reset(people)
    notice = Notice.objects.get()
    answer = logged_in(people.colleague).client.post(f"/notices/{notice.pk}/dismiss/", headers={"origin": ORIGIN})
    assert answer.status_code == 404
    outside = logged_in(people.member).client.post(
        f"/notices/{notice.pk}/dismiss/", {"back": "//evil.example/"}, headers={"origin": ORIGIN}
    )
    assert outside.headers["Location"] == "/notices/"
    notice.refresh_from_db()
    assert notice.dismissed_at is not None
