"""A forgotten password is chosen anew with the lock: no administrator, no code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from worlds.browser import Browser, bound, context, logged_in
from worlds.practice import ORIGIN, make_lock
from worlds.rows import rewrite

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.accounts.services import change_own_password
from calock.server.audit.models import AuditEvent
from calock.server.login.services import login_with_password
from calock.server.notices.models import Notice
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db
NEW = "Xin-Mi-Ma-2026-abc"


@pytest.fixture
def by_lock(lock_world):
    lock = make_lock()
    bound(lock, lock_world.member)
    browser = Browser()
    assert browser.log_in(lock).status_code == 200
    return browser


def choose(browser, **given) -> int:
    return browser.client.post("/password/", {"new": NEW, "again": NEW, **given}, headers={"origin": ORIGIN}).status_code


def test_with_a_fresh_proof_by_lock_the_old_password_is_not_asked_for(lock_world, by_lock):
    page = by_lock.client.get("/password/").content.decode()
    assert 'name="current"' not in page
    elsewhere = logged_in(lock_world.member)
    assert choose(by_lock) == 302
    assert login_with_password(username="zhangsan", password=NEW, context=context())
    assert elsewhere.client.get("/sessions/").status_code == 302  # whoever is there has to log in anew
    assert AuditEvent.objects.get(event="account:password:changed").details["how"] == "lock"
    assert Notice.objects.filter(account=lock_world.member).latest("created_at").kind == "password_changed"


def test_an_old_proof_by_lock_or_a_session_by_password_do_not_do(lock_world, by_lock):
    rewrite(Session.objects.get(method="ca"), lock_proved_at=timezone.now() - timedelta(minutes=6))
    assert 'name="current"' in by_lock.client.get("/password/").content.decode()
    assert choose(by_lock) == 403
    assert choose(logged_in(lock_world.member)) == 403
    with pytest.raises(Refusal, match=Reason.CREDENTIALS_WRONG):
        login_with_password(username="zhangsan", password=NEW, context=context())


def test_a_wrong_old_password_is_wrong_with_a_lock_too(by_lock):
    assert choose(by_lock, current="falsch-und-falsch") == 403


def test_an_operator_needs_a_code_of_another_operator(lock_world, by_lock):
    Account.objects.filter(pk=lock_world.member.pk).update(role=Role.OPERATOR)
    operator = Account.objects.get(pk=lock_world.member.pk)
    made = context(account=operator)
    made.session.lock_proved_at = made.at
    with pytest.raises(Refusal, match=Reason.STEP_UP_FAILED):
        change_own_password(account=operator, old="", new=NEW, context=made)
