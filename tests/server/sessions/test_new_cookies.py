"""A proof in the middle of a session gives the session another cookie, and its end takes what a browser keeps along."""

from __future__ import annotations

import pytest
from worlds.browser import Browser, logged_in
from worlds.practice import make_lock
from worlds.rows import PASSWORD

from calock.server.sessions import cookies
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest

pytestmark = pytest.mark.django_db


def shown(browser: Browser) -> str:
    return browser.client.cookies[cookies.session_cookie()].value


@pytest.mark.parametrize("way", ["lock", "password", "form"])
def test_after_another_proof_the_cookie_of_before_opens_nothing(lock_world, way):
    """Whoever read or planted the cookie before the proof does not come into what the proof opens."""
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save(update_fields=["password"])
    browser, lock = logged_in(lock_world.member), make_lock()
    assert browser.bind(lock, lock_world.member).status_code == 200
    before = shown(browser)
    if way == "lock":
        assert browser.step_up(lock).status_code == 200
    elif way == "password":
        assert browser.post("/api/step-up", {"password": PASSWORD}).status_code == 200
    else:
        assert browser.client.post("/confirm/?next=/system/ca/", {"password": PASSWORD}).status_code == 302
    assert shown(browser) != before
    assert browser.client.get("/sessions/").status_code == 200
    thief = Browser()
    thief.client.cookies[cookies.session_cookie()] = before
    assert thief.client.get("/sessions/").status_code == 302
    row = Session.objects.get(token__isnull=False)
    assert row.is_intact()
    assert browser.post("/api/step-up", {"password": PASSWORD}).status_code == 200  # once more: the second cookie is over too
    assert Session.objects.get().token != row.token


def test_a_token_written_into_the_database_is_no_session_of_an_operators(lock_world):
    browser = logged_in(lock_world.member)
    value = cookies.new_value()
    Session.objects.update(token=digest(value))
    assert not Session.objects.get().is_intact()
    assert browser.client.get("/sessions/").status_code == 302  # its first cookie is no longer asked


def test_the_end_of_a_session_takes_along_what_the_browser_keeps_of_its_pages(lock_world):
    browser = logged_in(lock_world.member)
    answer = browser.client.post("/logout/")
    assert answer["Clear-Site-Data"] == '"cache"'
    assert answer.cookies[cookies.session_cookie()]["max-age"] == 0
    ended = logged_in(lock_world.member)
    Session.objects.filter(ended_at=None).update(ended_at="2026-01-01T00:00:00Z", end_reason="x")
    assert ended.client.get("/help/")["Clear-Site-Data"] == '"cache"'
