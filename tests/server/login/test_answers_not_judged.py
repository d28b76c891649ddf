"""A parser that stumbles over an answer is no way to try for ever: the challenge is gone, the sender counted, the row written.

The stumbling is made by hand here: which inputs make which parser raise is the business of the parsers' own tests.
"""

from __future__ import annotations

import dataclasses
import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from worlds.browser import Browser, bound, logged_in, reason_of, refusal_row
from worlds.practice import NOW, PracticeLock, family, make_lock, spare_key
from worlds.rows import PASSWORD

from calock.core.revocation import check
from calock.demo import pki
from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.locks import answers
from calock.server.locks.models import Binding
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


@pytest.fixture
def stumbling(monkeypatch):
    """From now on judging an answer raises what no parser should."""

    def judge(*_args, **_kwargs):
        raise IndexError("index out of range")

    monkeypatch.setattr(answers, "verify_token", judge)


def log_in(world, lock, browser=None):
    return (browser or Browser()).log_in(lock)


def bind(world, lock, browser=None):
    return (browser or logged_in(world.member)).bind(lock, world.member)


def step_up(world, lock, browser=None):
    return (browser or logged_in(world.member)).step_up(lock)


def unbind(world, lock, browser=None):
    browser = browser or logged_in(world.member)
    binding = str(Binding.objects.get().pk)
    text = browser.challenge("unbind", binding=binding)
    return browser.post(f"/api/bindings/{binding}/end", {"reason": "离职", "challenge": text, "token": lock.sign(text)})


WAYS = [
    (log_in, "login:ca:refused"),
    (bind, "binding:lock:refused"),
    (step_up, "login:step_up:refused"),
    (unbind, "binding:lock:end_refused"),
]


@pytest.fixture
def lock(lock_world):
    lock = make_lock("EC")
    lock_world.member.set_password(PASSWORD)
    lock_world.member.save()
    bound(lock, lock_world.member)
    return lock


@pytest.mark.parametrize(("way", "event"), WAYS)
def test_an_error_of_ours_is_a_clear_refusal_with_a_row_and_a_traceback(lock_world, lock, stumbling, caplog, way, event):
    spent = SpentChallenge.objects.count()
    with caplog.at_level(logging.ERROR, logger="calock.server"):
        answer = way(lock_world, lock)
    assert answer.status_code == 400
    row = refusal_row(answer, "ANSWER_NOT_JUDGED")
    assert row.event == event
    assert row.details["detail"].startswith("IndexError at server/locks/answers.py:")
    assert row.number in answer.json()["error"]["message"]
    assert "IndexError" not in answer.content.decode()
    assert "index out of range" in caplog.text
    assert "Traceback" in caplog.text
    assert SpentChallenge.objects.count() == spent + 1
    assert Binding.objects.live().count() == 1
    assert not Session.objects.filter(method="ca").exists()


@pytest.mark.parametrize(("way", "event"), WAYS)
def test_it_counts_as_a_failure_of_the_browser_or_the_session(lock_world, lock, stumbling, caplog, settings, way, event):
    settings.CALOCK = dataclasses.replace(settings.CALOCK, failures_per_minute=3)
    browser = Browser() if way is log_in else logged_in(lock_world.member)
    statuses = [way(lock_world, lock, browser).status_code for _ in range(6)]
    assert statuses == [400, 400, 400, 429, 429, 429]
    assert AuditEvent.objects.filter(event=event, reason="ANSWER_NOT_JUDGED").count() == 3
    assert caplog.text.count("Traceback") == 1


def test_the_answer_is_worthless_afterwards(lock_world, lock, monkeypatch):
    browser = Browser()
    text = browser.challenge()
    body = {"challenge": text, "token": lock.sign(text)}
    with monkeypatch.context() as broken:
        broken.setattr(answers, "verify_token", lambda *_, **__: 1 // 0)
        assert reason_of(browser.post("/api/login", body)) == "ANSWER_NOT_JUDGED"
    assert reason_of(browser.post("/api/login", body)) == "CHALLENGE_SPENT"
    assert Browser().log_in(lock).status_code == 200


@pytest.mark.parametrize(
    "place",
    [
        (check, "strongest"),
        (answers, "parse_token"),
        (answers, "open_challenge"),
        (answers, "details_of"),
        (answers, "with_live_answers"),
    ],
)
def test_wherever_it_happens_while_an_answer_is_judged(lock_world, lock, monkeypatch, place):
    """``strongest`` weighs revocation data, so it is reached with a certificate on the list."""
    lock_world.revoke(lock)

    def raises(*_args, **_kwargs):
        raise KeyError("x")

    monkeypatch.setattr(*place, raises)
    refusal_row(Browser().log_in(lock), "ANSWER_NOT_JUDGED")


def test_a_database_that_is_away_says_come_again_and_spends_nothing(lock_world, lock, monkeypatch):
    def away(*_args, **_kwargs):
        raise OperationalError("connection refused")

    browser = Browser(raise_request_exception=False)
    challenge = browser.challenge()
    sent = {"challenge": challenge, "token": lock.sign(challenge)}
    with monkeypatch.context() as broken:
        broken.setattr(answers, "verify_token", away)
        answer = browser.post("/api/login", sent)
    assert (answer.status_code, reason_of(answer), answer.headers["Retry-After"]) == (503, "DATABASE_UNAVAILABLE", "5")
    assert browser.post("/api/login", sent).status_code == 200


def test_a_certificate_without_end_is_refused_for_what_is_wrong_with_it(lock_world):
    """NotAfter 99991231235959Z (RFC 5280 clause 4.1.2.5) has no later hour in a time zone to the east."""
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    revoked = make_lock("EC", lock_id="SX-9999", not_after=end)
    lock_world.revoke(revoked)
    refusal_row(Browser().log_in(revoked), "CERTIFICATE_REVOKED")
    root = pki.make_root("stranger", "EC", not_before=NOW - timedelta(days=9), not_after=end)
    key = spare_key("EC", 3)
    certificate = root.issue_lock("x", key, not_before=NOW - timedelta(days=9), not_after=end, lock_id="Q")
    refusal_row(Browser().log_in(PracticeLock(key, certificate, family("EC"))), "CERTIFICATE_UNTRUSTED")
