"""Logging in with a lock: which challenge, and which token in answer to it, is taken at all."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from django.utils import timezone
from server.login.test_lock_login import GOOD, bound, refused, send
from worlds.browser import Browser, context, reason_of
from worlds.practice import ORIGIN, make_lock

from calock.server.audit.models import AuditEvent
from calock.server.challenges.models import SpentChallenge
from calock.server.challenges.services import issue_challenge
from calock.server.login.services import AIM
from calock.server.sessions import cookies
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest

pytestmark = pytest.mark.django_db


def test_an_answer_works_once(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    challenge = browser.challenge()
    token = lock.sign(challenge)
    assert send(browser, challenge, token).status_code == 200
    answer = send(browser, challenge, token)
    assert (answer.status_code, reason_of(answer)) == (409, "CHALLENGE_SPENT")
    assert Session.objects.filter(method="ca").count() == 1
    assert AuditEvent.objects.filter(event="login:ca:succeeded").count() == 1


def test_a_failed_attempt_uses_the_challenge_up(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    challenge = browser.challenge()
    wrong = {**lock.sign(challenge), "signature": base64.b64encode(bytes(64)).decode()}
    refused(send(browser, challenge, wrong), "SIGNATURE_INVALID")
    refused(send(browser, challenge, lock.sign(challenge)), "CHALLENGE_SPENT")


def test_an_expired_challenge_is_refused(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    early = context(at=timezone.now() - timedelta(seconds=121), browser=_browser_digest(browser))
    text, _ = issued(early)
    refused(send(browser, text, lock.sign(text)), "CHALLENGE_EXPIRED")


def _browser_digest(browser):
    browser.challenge()
    return digest(browser.client.cookies[cookies.pre_login_cookie()].value)


def issued(made):
    made = issue_challenge(aim=AIM, context=made)
    return made.text, made.expires_at


def test_a_challenge_from_the_future_is_refused(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    text, _ = issued(context(at=timezone.now() + timedelta(hours=1), browser=_browser_digest(browser)))
    refused(send(browser, text, lock.sign(text)), "CHALLENGE_FROM_FUTURE")


def test_a_challenge_of_another_purpose_is_refused_and_spent(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    browser.challenge()
    browser.enter(lock_world.member)
    text = browser.challenge("bind", provider=lock.family.provider)
    token = lock.sign(text)
    answer = send(browser, text, token)
    assert reason_of(answer) == "CHALLENGE_WRONG_PURPOSE"
    aim = {"member": str(lock_world.member.pk), "provider": lock.family.provider}
    answer = browser.post("/api/bindings", {"challenge": text, "token": token, **aim})
    assert reason_of(answer) == "CHALLENGE_SPENT"


def test_a_challenge_of_another_browser_is_refused(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    victim, attacker = Browser(), Browser()
    attacker.challenge()
    text = victim.challenge()
    refused(send(attacker, text, lock.sign(text)), "CHALLENGE_WRONG_CONTEXT")
    refused(send(victim, text, lock.sign(text)), "CHALLENGE_SPENT")


def test_a_browser_without_the_pre_login_cookie_is_refused(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    text = Browser().challenge()
    refused(send(Browser(), text, lock.sign(text)), "CHALLENGE_WRONG_CONTEXT")


def test_a_stranger_without_the_cookie_writes_no_row_of_used_challenges(lock_world):
    """Only a challenge this server made is worth remembering as used."""
    refused(Browser().post("/api/login", {"challenge": "not ours", "token": GOOD}), "CHALLENGE_WRONG_CONTEXT")
    assert not SpentChallenge.objects.exists()


def test_a_challenge_of_another_site_is_refused(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    text = browser.challenge()
    browser.client.defaults["HTTP_HOST"] = "zcy.localhost:8000"
    answer = browser.client.post(
        "/api/login", json.dumps({"challenge": text, "token": lock.sign(text)}), content_type="application/json",
        headers={"host": "zcy.localhost:8000"},
    )  # fmt: skip
    refused(answer, "CHALLENGE_WRONG_CONTEXT")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "CHALLENGE_MALFORMED"),
        ("c2.login.x", "CHALLENGE_MALFORMED"),
        ("c2.login." + "a" * 200, "CHALLENGE_MALFORMED"),
        ("nul\x00", "CHALLENGE_MALFORMED"),
        ("c2.login.tovqb7." + "A" * 22 + "." + "B" * 43 + "." + "C" * 33, "CHALLENGE_FORGED"),
    ],
)
def test_a_text_that_is_not_ours_is_refused(lock_world, text, reason):
    lock = make_lock()
    browser = Browser()
    browser.challenge()
    refused(send(browser, text, lock.sign(text)), reason)
    assert not SpentChallenge.objects.exists()


@pytest.mark.parametrize(
    "origin",
    [
        "https://shanxi.localhost:8000",
        "http://shanxi.localhost",
        "http://shanxi.localhost:8001",
        "http://a.shanxi.localhost:8000",
        "http://shanxi.localhost.:8000",
        "http://SHANXI.localhost:8000",
        "http://shanxi.localhost:8000/",
        "http://xn--shnxi-0ra.localhost:8000",
        "http://zcy.localhost:8000",
        "null",
        "",
    ],
)
def test_an_answer_for_another_origin_is_refused(lock_world, origin):
    lock = make_lock()
    bound(lock_world, lock)
    browser = Browser()
    text = browser.challenge()
    refused(send(browser, text, lock.sign(text, origin=origin)), "SIGNATURE_INVALID")


def test_a_signature_over_other_bytes_is_no_answer(lock_world):
    lock = make_lock()
    bound(lock_world, lock)
    for message in (b"a document", ORIGIN.encode()):
        browser = Browser()
        text = browser.challenge()
        refused(send(browser, text, lock.sign(text, message=message)), "SIGNATURE_INVALID")
    browser = Browser()
    text = browser.challenge()
    refused(send(browser, text, lock.sign(text, message=(ORIGIN + text).encode())), "SIGNATURE_INVALID")


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "TOKEN_MALFORMED"),
        (None, "TOKEN_MALFORMED"),
        (1, "TOKEN_MALFORMED"),
        ([], "TOKEN_MALFORMED"),
        ({}, "TOKEN_MALFORMED"),
        ({**GOOD, "signature": 5}, "TOKEN_MALFORMED"),
        ({**GOOD, "algorithm": None}, "TOKEN_MALFORMED"),
        ({**GOOD, "signature": ""}, "TOKEN_EMPTY"),
        ({**GOOD, "format": "web-eid:2"}, "TOKEN_FORMAT_UNSUPPORTED"),
        ({**GOOD, "format": "x" * 200}, "TOKEN_FORMAT_UNSUPPORTED"),
        ({**GOOD, "unverifiedCertificate": "A" * 10_001}, "TOKEN_TOO_LARGE"),
        ({**GOOD, "unverifiedCertificate": "not base64!"}, "TOKEN_MALFORMED"),
        ({**GOOD, "unverifiedCertificate": "A\x00AA"}, "TOKEN_MALFORMED"),
        ({**GOOD, "unverifiedCertificate": "AA\nAA"}, "TOKEN_MALFORMED"),
        ({**GOOD, "signature": "_-__"}, "TOKEN_MALFORMED"),
        (GOOD, "CERTIFICATE_UNPARSABLE"),
    ],
)
def test_a_token_that_is_none_is_refused(lock_world, token, reason):
    browser = Browser()
    row = refused(send(browser, browser.challenge(), token), reason)
    assert row.event == "login:ca:refused"


@pytest.mark.parametrize(
    ("body", "reason", "status"),
    [
        (b"", "REQUEST_MALFORMED", 400),
        (b"x", "REQUEST_MALFORMED", 400),
        (b"\x00", "REQUEST_MALFORMED", 400),
        (b"\xff\xfe{}", "REQUEST_MALFORMED", 400),
        (b"[]", "REQUEST_MALFORMED", 400),
        (b'{"challenge": 1, "token": {}}', "REQUEST_MALFORMED", 400),
        (b'{"token": {}}', "REQUEST_MALFORMED", 400),
        (b'{"challenge": "c1", "token": {}, "device": []}', "REQUEST_MALFORMED", 400),
        (b'{"challenge": "c1", "token": {}, "provider": "a\\u0000"}', "REQUEST_MALFORMED", 400),
        (b"[" * 60_000, "REQUEST_MALFORMED", 400),
        (b"a" * 70_000, "REQUEST_TOO_LARGE", 413),
        (b"a" * 10_000_000, "REQUEST_TOO_LARGE", 413),
    ],
)
def test_a_body_that_is_none_is_refused(lock_world, body, reason, status):
    browser = Browser()
    browser.challenge()
    refused(browser.post("/api/login", body), reason, status=status)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])
def test_only_json_is_read(lock_world, kind):
    browser = Browser()
    refused(browser.post("/api/login", b'{"challenge":"c1","token":{}}', content_type=kind), "REQUEST_MALFORMED")


@pytest.mark.parametrize(
    ("algorithm", "named", "reason"),
    [
        ("SM2", "ES256", "ALGORITHM_KEY_MISMATCH"),
        ("SM2", "RS256", "ALGORITHM_KEY_MISMATCH"),
        ("EC", "SM2", "ALGORITHM_KEY_MISMATCH"),
        ("RSA", "ES256", "ALGORITHM_KEY_MISMATCH"),
        ("RSA", "none", "ALGORITHM_NOT_ALLOWED"),
        ("EC", "HS256", "ALGORITHM_NOT_ALLOWED"),
        ("RSA", "RS1", "ALGORITHM_NOT_ALLOWED"),
        ("EC", "es256", "ALGORITHM_NOT_ALLOWED"),
    ],
)
def test_the_algorithm_must_fit_the_key(lock_world, algorithm, named, reason):
    lock = make_lock(algorithm)
    bound(lock_world, lock)
    browser = Browser()
    text = browser.challenge()
    refused(send(browser, text, lock.sign(text, algorithm=named)), reason)
