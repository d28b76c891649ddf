"""What is tried against codes, tokens and assertions, by the numbers of the catalogue: A69 to A71."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import timedelta

import jwt
import pytest
from django.db import connection
from django.utils import timezone
from worlds import races, relying
from worlds.browser import Browser
from worlds.practice import ORIGIN
from worlds.relying import API, ASSERTION, own_key, query_of, refused

from calock.server.accounts.models import Account, Role
from calock.server.applications.installation import install_application
from calock.server.grants.models import Grant, PendingRequest
from calock.server.oidc.models import Code, Token
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def test_a69_a_code_is_good_for_its_own_application_address_and_verifier_alone(rp, by_password):
    other = relying.register(client_id="other")
    code = rp.answer(by_password)["code"]
    assert refused(other.exchange(code)) == "invalid_grant"
    assert refused(rp.exchange(code, redirect_uri="https://caigou.example/other?tenant=1")) == "invalid_grant"
    assert refused(rp.exchange(code, redirect_uri=None)) == "invalid_grant"
    assert refused(rp.exchange(code, code_verifier="w" * 50)) == "invalid_grant"
    assert refused(rp.exchange(code, code_verifier=None)) == "invalid_request"
    assert refused(rp.exchange(code, code_verifier=relying.challenge_of(rp.verifier))) == "invalid_grant"
    assert refused(rp.exchange("x" * 43)) == "invalid_grant"
    assert rp.exchange(code).status_code == 200, "none of these used it up"
    late = rp.answer(by_password)["code"]
    Code.objects.filter(used_at__isnull=True).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(rp.exchange(late)) == "invalid_grant"


def test_a69_codes_and_tokens_are_kept_as_digests_alone(rp, by_password):
    code = rp.answer(by_password, scope="openid offline_access")["code"]
    tokens = rp.exchange(code).json()
    with connection.cursor() as cursor:
        kept = ""
        for table in (
            "oidc_code",
            "oidc_token",
            "grants_grant",
            "grants_pendingrequest",
            "audit_auditevent",
            "applications_application",
        ):
            cursor.execute(f"SELECT * FROM {table}")
            kept += str(cursor.fetchall())
    for text in (code, tokens["access_token"], tokens["refresh_token"], tokens["id_token"], relying.SECRET):
        assert text not in kept


@pytest.mark.django_db(transaction=True)
def test_a69_a70_of_many_at_the_same_moment_one_gets_tokens(committed_lock_world):
    rp = relying.register()
    browser = Browser()
    browser.enter(committed_lock_world.member)
    code = rp.answer(browser, scope="openid offline_access")["code"]
    answers = races.in_parallel([lambda: rp.exchange(code).status_code] * 4)
    assert answers.count(200) <= 1
    assert not Token.objects.filter(grant__revoked_at__isnull=True, grant__codes__used_at__isnull=True).exists()
    token = rp.enter(browser, scope="openid offline_access")["refresh_token"]
    answers = races.in_parallel([lambda: rp.refresh(token).status_code] * 4)
    assert answers.count(200) <= 1
    assert Grant.objects.filter(revoked_at__isnull=False).count() == 2


def test_a70_a_refresh_token_is_its_applications_and_ends_with_the_session(rp, by_password):
    other = relying.register(client_id="other")
    token = rp.enter(by_password, scope="openid offline_access")["refresh_token"]
    assert refused(other.refresh(token)) == "invalid_grant"
    assert refused(rp.refresh(token, scope="openid calock")) == "invalid_scope"
    assert rp.user_info(token).status_code == 401, "a refresh token opens nothing itself"
    assert (
        Token.objects.get(kind="refresh").expires_at == Session.objects.get(ended_at__isnull=True, grants__isnull=False).expires_at
    )
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    assert refused(rp.refresh(token)) == "invalid_grant"
    assert rp.introspect(token) == {"active": False}


def hs256(claims, secret: bytes, header) -> str:
    """Signed with a public key as if it were a secret: PyJWT itself would not do it."""
    parts = [{"alg": "HS256", "typ": "JWT", **header}, claims]
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return (text + b"." + base64.urlsafe_b64encode(hmac.digest(secret, text, "sha256")).rstrip(b"=")).decode()


def test_a71_an_id_token_is_no_access_token_and_a_forged_hint_is_none(rp, by_password):
    tokens = rp.enter(by_password)
    assert rp.user_info(tokens["id_token"]).status_code == 401
    claims = {**tokens["claims"], "sub": "somebody else"}
    public = rp.server.get("/oidc/jwks").json()["keys"]
    rsa = next(key for key in public if key["alg"] == "RS256")
    secret = json.dumps(rsa).encode()
    kid = {"kid": rsa["kid"], "typ": "JWT"}
    forged = (
        jwt.encode(claims, None, algorithm="none", headers=kid),
        hs256(claims, secret, kid),
        jwt.encode(claims, own_key(), algorithm="ES256", headers=kid),
        jwt.encode(claims, own_key(), algorithm="ES256", headers={**kid, "kid": "../../etc/passwd"}),
        jwt.encode(claims, own_key(), algorithm="ES256", headers={**kid, "jwk": relying.jwk(own_key())}),
        jwt.encode(claims, own_key(), algorithm="ES256", headers={**kid, "jku": "https://evil.example/jwks"}),
        tokens["id_token"].replace(".", "..", 1),
        "a" * 5000,
        "é.é.é",
    )
    for hint in forged:
        assert rp.answer(by_password, prompt="none", id_token_hint=hint)["error"] == "invalid_request", hint[:40]
        assert by_password.client.get("/oidc/logout", {"id_token_hint": hint}).status_code == 400
    access = rp.exchange(rp.answer(by_password, resource=API)["code"]).json()["access_token"]
    assert rp.answer(by_password, prompt="none", id_token_hint=access)["error"] == "invalid_request"
    assert rp.user_info(access).status_code == 401, "of the application's own API, not of ours"
    assert rp.verified(access, audience=API)["acr"] == tokens["claims"]["acr"]
    assert jwt.get_unverified_header(access)["typ"] == "at+jwt"


def test_a71_an_applications_assertion_is_signed_for_us_by_its_key_and_used_once(rp):
    rp.application = install_application(relying.wish(auth_method="private_key_jwt", secrets=[], jwks=[relying.jwk(own_key())]))
    good = rp.assertion()
    body = {"token": "x", "client_assertion_type": ASSERTION}
    assert rp.server.post("/oidc/introspect", {**body, "client_assertion": good}).json() == {"active": False}
    public = json.dumps(relying.jwk(own_key())).encode()
    now = int(time.time())
    bad = (
        good,
        rp.assertion(key=own_key(1)),
        jwt.encode({"iss": "caigou", "sub": "caigou", "aud": ORIGIN, "exp": now + 60, "jti": "n"}, None, algorithm="none"),
        hs256({"iss": "caigou", "sub": "caigou", "aud": ORIGIN, "exp": now + 60, "jti": "h"}, public, {}),
        rp.assertion(aud="https://evil.example/"),
        rp.assertion(aud=f"{ORIGIN}.evil.example"),
        rp.assertion(iss="other"),
        rp.assertion(sub="nobody", iss="nobody"),
        rp.assertion(sub=["caigou"]),
        rp.assertion(exp=now - 120),
        rp.assertion(exp=now + 7200),
        rp.assertion(header={"crit": ["made-up"], "made-up": 1}),
        "e30.e30.",
        base64.b64encode(b"\xff" * 30).decode(),
        "\0",
    )
    for assertion in bad:
        answer = rp.server.post("/oidc/introspect", {**body, "client_assertion": assertion})
        assert refused(answer) in ("invalid_client", "invalid_request"), assertion[:60]
    assert refused(rp.server.post("/oidc/introspect", {"token": "x", "client_id": "caigou"})) == "invalid_client"


def test_a71_rubbish_at_the_token_endpoint_is_an_error_that_the_rfc_knows(rp):
    basic = {"Authorization": "Basic " + base64.b64encode(f"caigou:{relying.SECRET}".encode()).decode()}
    for body in (
        {},
        {"grant_type": "password"},
        {"grant_type": "client_credentials"},
        {"grant_type": "authorization_code"},
        {"grant_type": "authorization_code", "code": "\0"},
        {"grant_type": "中文"},
        {"grant_type": ["refresh_token"] * 2},
        {"grant_type": "refresh_token", "refresh_token": "é"},
    ):
        assert refused(rp.server.post("/oidc/token", body, headers=basic))
    for header in ("Basic !!!", "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Basic", "Bearer x", "Basic Og=="):
        answer = rp.server.post("/oidc/token", {"grant_type": "authorization_code", "code": "x"}, headers={"Authorization": header})
        assert refused(answer) in ("invalid_client", "invalid_request")
    assert rp.server.get("/oidc/token").status_code == 405


def _assertion_of(subject: str) -> dict[str, str]:
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, {"sub": subject}, {})]
    text = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return {"client_assertion_type": ASSERTION, "client_assertion": text}


@pytest.mark.postgresql  # which keeps neither NUL nor halves of surrogate pairs, and cuts nothing
@pytest.mark.parametrize(
    "sent",
    [
        {"path": "/oidc/token", "grant_type": "authorization_code", "client_id": "a\0", "client_secret": "x"},
        {"path": "/oidc/token", "grant_type": "authorization_code", **_assertion_of("\ud800")},
        {"path": "/oidc/authorize", "x\0y": "1"},
        {"path": "/oidc/authorize", "state": "1\0"},
        {"path": "/oidc/authorize", "state\0": ["1", "2"]},
    ],
    ids=ascii,
)
def test_a71_what_no_database_keeps_is_refused_before_it_gets_there(rp, by_password, sent):
    path, body = sent["path"], {name: value for name, value in sent.items() if name != "path"}
    if path == "/oidc/authorize":
        body = {**rp.parameters(), **body}
        answer = Browser().client.get(path, body)
        assert (answer.status_code, query_of(answer["Location"])["error"]) == (303, "invalid_request")
    answer = rp.server.post(path, body)
    assert answer.status_code in (400, 401)
    assert not PendingRequest.objects.exists()


@pytest.mark.postgresql
def test_a71_a_scope_that_is_asked_for_many_times_is_granted_once(rp, by_password):
    token = rp.enter(by_password, scope="openid offline_access")["refresh_token"]
    answer = rp.refresh(token, scope="openid " * 60)
    assert (answer.status_code, answer.json()["scope"]) == (200, "openid")


@pytest.mark.parametrize("how", ["role", "organisation", "username"])
def test_what_somebody_writes_into_their_own_row_reaches_no_application_while_they_are_inside(rp, by_lock, lock_world, how):
    """Neither with what they have nor by entering once more: a name of the database is whoever the application takes it for."""
    tokens, ticket = rp.enter(by_lock), rp.answer(by_lock)["code"]
    forged = {"role": Role.ORGANISATION_ADMIN, "organisation": lock_world.outsider.organisation, "username": "chief-of-b"}
    Account.objects.filter(pk=lock_world.member.pk).update(**{how: forged[how]})
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert refused(rp.exchange(ticket)) == "invalid_grant"
    assert query_of(rp.ask(by_lock)["Location"]).keys() == {"next"}, "asked to log in"
    assert by_lock.client.get("/sessions/")["Location"].startswith("/login/")
    assert Session.objects.filter(account=lock_world.member, end_reason="record damaged").exists()
