"""已登录应用: a person sees into which applications each of their sessions went, and goes out of one without ending the session."""

from __future__ import annotations

import pytest
from worlds import relying
from worlds.browser import logged_in

from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.outbox.models import Message

pytestmark = pytest.mark.django_db

TOLD = {"logout_url": "https://caigou.example/ended"}


def own(browser, application) -> dict[str, str]:
    """The form of the page behind 退出应用."""
    page = browser.client.get("/sessions/").content.decode()
    before, found, _ = page.partition(f'value="{application.pk}"')
    return {"session": before.rpartition('name="session" value="')[2][:16], "application": str(application.pk)} if found else {}


def test_a_person_leaves_one_application_and_stays_in_the_other_and_logged_in(lock_world):
    one, two = relying.register(**TOLD), relying.register(client_id="hetong", name="合同管理", **TOLD)
    browser, elsewhere = logged_in(lock_world.member), logged_in(lock_world.member)
    left, kept, other = one.enter(browser), two.enter(browser), one.enter(elsewhere)
    one.enter(browser)
    page = browser.client.get("/sessions/").content.decode()
    assert page.count("退出项目采购") == 2, "once for each session, however often it entered"
    assert page.count("退出合同管理") == 1
    form = own(browser, two.application) | {"application": str(one.application.pk)}
    answer = browser.client.post("/sessions/leave/", form, follow=True)
    assert "已退出该应用" in answer.content.decode()
    live = [rp.introspect(tokens["access_token"])["active"] for rp, tokens in ((one, left), (two, kept), (one, other))]
    assert live == [False, True, True]
    assert [message.kind for message in Message.objects.all()] == ["oidc.logout"], "once, however often it was entered"
    row = AuditEvent.objects.filter(event=Event.APPLICATION_EXITED).first()
    assert (row.actor, row.ip) == (lock_world.member.pk, browser.ip)
    assert "退出合同管理" in browser.client.get("/sessions/").content.decode()
    assert browser.client.post("/sessions/leave/", form).status_code == 404, "out already"


def test_nobody_takes_another_person_out_of_an_application(lock_world):
    rp = relying.register(**TOLD)
    browser, stranger = logged_in(lock_world.member), logged_in(lock_world.colleague)
    tokens = rp.enter(browser)
    form = own(browser, rp.application)
    for wrong in ({}, {"session": ""}, {"session": "%"}, {"application": "x"}, {"application": ""}):
        sender = browser if wrong else stranger
        assert sender.client.post("/sessions/leave/", form | wrong).status_code == 404
    assert rp.introspect(tokens["access_token"])["active"] is True
