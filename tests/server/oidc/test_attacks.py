"""What is tried against the OpenID provider, by the numbers of the catalogue: A67, A69 to A75."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import timedelta
from urllib.parse import urlsplit

import jwt
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from worlds import races, relying
from worlds.browser import Browser
from worlds.practice import ORIGIN
from worlds.relying import API, ASSERTION, CALLBACK, LEFT, LOCK_LEVEL, METADATA, own_key, query_of

from calock.server.applications.installation import install_application
from calock.server.audit.models import AuditEvent
from calock.server.gate.services import give_pass
from calock.server.grants.decide import decide
from calock.server.grants.models import Grant, PendingRequest
from calock.server.locks.models import Binding
from calock.server.oidc import authorize, keys
from calock.server.oidc.models import Code, KeyState, SigningKey, Token
from calock.server.outbox.models import Message
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions, end_sessions_of_lock

pytestmark = pytest.mark.django_db

BAD_REDIRECTS = (
    f"{CALLBACK}/",
    f"{CALLBACK}x",
    f"{CALLBACK}?x=1",
    f"{CALLBACK}#x",
    f"{CALLBACK}/../evil",
    "https://caigou.example/call%62ack",
    "https://caigou.example/callback%2f..%2fevil",
    "https://caigou.example:443/callback",
    "https://caigou.example.evil.example/callback",
    "https://caigou.example@evil.example/callback",
    "http://localhost:80@evil.example/callback",
    "https://CAIGOU.example/callback",
    "http://caigou.example/callback",
    "https://caigou.example/other",
    "//caigou.example/callback",
    "/callback",
    "javascript:alert(1)//callback",
    "",
    " https://caigou.example/callback",
    "https://caigou.example/callback\n",
)


BEHIND = "https://host.example/x"
GATE = {
    "client_id": "baobiao", "protocols": ["gate"], "redirect_uris": [], "post_logout_redirect_uris": [],
    "gate_urls": ["https://host.example/"],
}  # fmt: skip


def test_a67_only_an_address_that_is_registered_letter_by_letter_is_ever_redirected_to(rp, by_password):
    for address in BAD_REDIRECTS:
        for more in ({}, {"response_type": "token"}, {"prompt": "none"}):
            answer = rp.ask(by_password, redirect_uri=address, **more)
            assert answer.status_code == 400, address
            assert "Location" not in answer
    assert rp.ask(by_password, redirect_uri=[CALLBACK, CALLBACK]).status_code == 400
    assert rp.ask(by_password, redirect_uri=None).status_code == 400
    assert rp.ask(by_password, client_id="nobody").status_code == 400
    assert rp.ask(by_password, client_id=["caigou", "nobody"]).status_code == 400
    assert not Grant.objects.exists()


def test_a67_what_is_wrong_behind_a_good_address_is_told_there_with_state_and_issuer(rp, by_password):
    for changed in (
        {"scope": ["openid", "openid"]},
        {"nonce": "n" * 300},
        {"response_mode": "form_post"},
        {"max_age": "soon"},
        {"prompt": "none login"},
        {"made_up": ["1", "2"]},
        {"nonce": "a\0b"},
    ):
        found = rp.answer(by_password, **changed)
        assert found["error"] == "invalid_request"
        assert found["state"] == "st/ate&1"
    assert rp.answer(by_password, resource="https://other.example/")["error"] == "invalid_target"


@pytest.mark.parametrize(
    "address", ["https://evil.example/", "https://evil.example; worker-src *; x/", "https://中.example/", "https://[x", CALLBACK]
)
def test_a67_a_request_by_post_is_judged_before_it_is_kept(rp, browser, address):
    """Of one that was kept all the same (registered then, not now) the login page's policy says nothing."""
    sent = {**rp.parameters(), "redirect_uri": address}
    answer = browser.client.post("/oidc/authorize", sent)
    assert answer.status_code == (303 if address == CALLBACK else 400)
    assert PendingRequest.objects.exists() == (address == CALLBACK)
    kept = PendingRequest.objects.create(
        application=rp.application, protocol="oidc", parameters={"redirect_uri": [address]}, created_at=timezone.now()
    )
    page = browser.client.get("/login/", {"next": f"/oidc/continue/{kept.pk}"})
    assert page.status_code == 200
    ends = "form-action 'self' https://caigou.example" if address == CALLBACK else "form-action 'self'"
    assert page["Content-Security-Policy"] == settings.CONTENT_SECURITY_POLICY.replace("form-action 'self'", ends)


def refused(response) -> str:
    assert response.status_code in (400, 401), response.content
    assert response["Cache-Control"] == "no-store"
    return response.json()["error"]


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


@pytest.mark.postgresql
@pytest.mark.parametrize("query", ["a" * 3000, "\0"], ids=["long", "NUL"])
def test_a71_the_gate_goes_on_to_no_address_that_it_could_not_keep(by_password, browser, query):
    relying.register(**GATE)
    for someone in (by_password, browser):
        answer = someone.client.get("/auth/enter", {"url": f"https://host.example/x?{query}", "state": "s" * 32})
        assert answer.status_code == 400


def test_a72_nothing_that_an_application_names_is_fetched(rp, by_password, monkeypatch):
    import socket  # noqa: PLC0415

    monkeypatch.setattr(socket, "create_connection", lambda *_args, **_more: pytest.fail("a connection was opened"))
    for name in ("request_uri", "registration"):
        assert rp.answer(by_password, **{name: "http://169.254.169.254/"})["error"] == f"{name}_not_supported"
    assert "jwks_uri" not in str(relying.wish())
    with pytest.raises(Exception, match="APPLICATION_REFUSED"):
        install_application(relying.wish(jwks_uri="http://127.0.0.1/"))


def test_a73_a_lock_is_never_replaced_by_a_password(rp, by_password, lock_world):
    """An account without a lock is told what helps; with a lock proof that its binding does not carry any more, nothing counts."""
    answer = rp.ask(by_password, acr_values=LOCK_LEVEL)
    assert answer.status_code == 403
    text = answer.content.decode()
    assert "您的账户还没有绑定 CA 锁" in text
    back = query_of(text.partition('class="button" href="')[2].partition('"')[0].replace("&amp;", "&"))
    assert back["error"] == "unmet_authentication_requirements"
    assert back["iss"] == ORIGIN
    rp.application = install_application(relying.wish(require_level="lock"))
    assert rp.ask(by_password).status_code == 403
    assert rp.answer(by_password, prompt="none", acr_values="urn:calock:acr:password")["error"] == "login_required"
    assert not Grant.objects.exists()


def test_a73_a_proof_that_somebody_wrote_into_the_session_counts_for_nothing(rp, by_password):
    Session.objects.filter(ended_at__isnull=True).update(lock_proved_at=timezone.now())
    assert rp.answer(by_password, prompt="none")["error"] == "login_required"


def test_a73_a_lock_that_is_unbound_is_out_of_every_application(rp, by_lock, lock_world):
    tokens = rp.enter(by_lock)
    assert rp.introspect(tokens["access_token"])["active"]
    Binding.objects.update(unbound_at=timezone.now(), unbound_by=lock_world.admin)
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert rp.introspect(tokens["access_token"]) == {"active": False}
    assert "error" in query_of(rp.ask(by_lock, prompt="none")["Location"])


def pass_gate(browser) -> None:
    """Enter an application behind the gate, and keep its cookie in the browser."""
    ticket = query_of(browser.client.get("/auth/enter", {"url": BEHIND, "state": "s" * 32})["Location"])["ticket"]
    browser.client.cookies["calock-gate"] = give_pass(ticket=ticket, service=BEHIND, site="shanxi", at=timezone.now())
    assert checked(browser) == 200


def checked(browser) -> int:
    return browser.client.get("/auth/check", headers={"X-Original-URL": BEHIND}).status_code


def test_a73_what_a_lock_opened_ends_with_the_lock_in_a_session_that_goes_on(rp, by_password, lock):
    rp.application = install_application(relying.wish(logout_url="https://caigou.example/ended"))
    relying.register(**GATE, require_level="lock")
    plain = rp.enter(by_password, scope="openid offline_access")
    assert by_password.step_up(lock).status_code == 200
    tokens = rp.enter(by_password, scope="openid offline_access", acr_values=LOCK_LEVEL)
    pass_gate(by_password)
    lock_id = Binding.objects.get().lock_id
    assert set(AuditEvent.objects.filter(event="application:entered").values_list("lock", flat=True)) == {None, lock_id}

    end_sessions_of_lock(lock_id=lock_id, reason="lock reported lost", at=timezone.now())
    assert rp.introspect(tokens["access_token"]) == {"active": False}
    assert refused(rp.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert checked(by_password) == 401
    assert Message.objects.filter(kind="oidc.logout").count() == 1, "the application ends its own session"
    assert rp.introspect(plain["access_token"])["active"], "the session goes on, and what its password opened"
    ended = Grant.objects.filter(revoked_at__isnull=False)
    assert set(ended.values_list("acr", flat=True)) == {LOCK_LEVEL}
    late = ended.get(protocol="oidc")
    Grant.objects.filter(pk=late.pk).update(revoked_at=None)
    assert rp.introspect(tokens["access_token"]) == {"active": False}, "nor what was opened while the lock was being ended"


@pytest.mark.parametrize("narrowed", [{"audience": ["agency"]}, {"require_level": "lock"}, {"protocols": ["cas"]}], ids=str)
def test_a73_what_operators_narrow_counts_for_those_who_are_inside(rp, by_password, narrowed):
    relying.register(**GATE)
    tokens = rp.enter(by_password, scope="openid offline_access")
    pass_gate(by_password)
    elsewhere = {"cas_services": ["https://cas.example/"], "redirect_uris": [], "gate_urls": []} if "protocols" in narrowed else {}
    relying.register(**{**GATE, **narrowed, **elsewhere})
    assert checked(by_password) == 401
    if elsewhere:
        elsewhere["cas_services"] = ["https://other.example/"]
    rp.application = install_application(relying.wish(**narrowed, **elsewhere))
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert refused(rp.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a73_nobody_enters_by_a_session_that_ends_while_they_do(rp, by_password, monkeypatch):
    def ended(*args):
        end_sessions(Session.objects.all(), reason="ended by its owner", at=timezone.now())
        return decide(*args)

    monkeypatch.setattr(authorize, "decide", ended)
    answer = rp.ask(by_password)
    assert (answer.status_code, urlsplit(answer["Location"]).path) == (302, "/login/")
    assert not Grant.objects.exists()


def test_a74_an_image_somewhere_logs_nobody_out(rp, by_password, lock_world):
    other = Browser()
    other.enter(lock_world.colleague)
    foreign = rp.enter(other)["id_token"]
    before = Session.objects.filter(ended_at__isnull=True).count()
    for sent in ({}, {"client_id": "caigou", "post_logout_redirect_uri": LEFT}, {"id_token_hint": foreign}):
        assert by_password.client.get("/oidc/logout", sent).status_code == 200
    by_password.client.handler.enforce_csrf_checks = True
    cross = by_password.client.post("/oidc/logout/confirmed", {}, headers={"origin": "https://evil.example"})
    assert cross.status_code == 403
    assert Session.objects.filter(ended_at__isnull=True).count() == before


def test_a75_no_other_origin_reads_what_is_not_public(rp, by_password):
    tokens = rp.enter(by_password)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    for origin in ("https://evil.example", "null", "https://caigou.example"):
        for answer in (
            rp.server.get("/oidc/userinfo", headers={**bearer, "origin": origin}),
            rp.server.post("/oidc/token", {"grant_type": "authorization_code"}, headers={"origin": origin}),
            rp.server.post("/oidc/introspect", {"token": "x"}, headers={"origin": origin}),
            by_password.client.get("/oidc/authorize", rp.parameters(), headers={"origin": origin}),
        ):
            assert "Access-Control-Allow-Origin" not in answer
            assert "Access-Control-Allow-Credentials" not in answer
    for public in (METADATA, "/oidc/jwks"):
        answer = rp.server.get(public, headers={"origin": "https://evil.example"})
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_wrong_client_secrets_are_counted_by_application_and_address(rp, settings, method):
    keys_of = {"jwks": [relying.jwk(own_key())], "secrets": []} if method == "private_key_jwt" else {}
    neighbour = relying.register(client_id="other", auth_method=method, **keys_of)
    wrong = relying.register(client_id="third", auth_method=method, **keys_of)
    wrong.secret = "wrong"
    more = {"key": own_key(1)} if keys_of else {}
    for _ in range(settings.CALOCK.failures_per_minute + 1):
        last = wrong.call("introspect", {"token": "x"}, **more)
    assert last.status_code == 429
    assert last.json() == {"error": "temporarily_unavailable"}
    assert int(last["Retry-After"]) > 0
    assert neighbour.introspect("x") == {"active": False}, "at the same address"
    right, rp.secret = rp.secret, "wrong"
    answers = [rp.exchange("x").status_code for _ in range(settings.CALOCK.failures_per_minute + 1)]
    assert answers[0] == 401
    assert answers[-1] == 429
    rp.secret = right
    rp.server.defaults["REMOTE_ADDR"] = "198.51.100.99"
    assert refused(rp.exchange("x")) == "invalid_grant", "elsewhere the application goes on"


def test_pairwise_names_are_the_same_each_time_and_another_at_each_application(rp, by_password, lock_world):
    one = relying.register(client_id="one", pairwise=True)
    two = relying.register(client_id="two", pairwise=True)
    subjects = {
        rp.enter(by_password)["claims"]["sub"],
        one.enter(by_password)["claims"]["sub"],
        two.enter(by_password)["claims"]["sub"],
    }
    assert len(subjects) == 3
    assert str(lock_world.member.pk) in subjects
    tokens = one.enter(by_password)
    assert tokens["claims"]["sub"] in subjects
    assert one.user_info(tokens["access_token"]).json()["sub"] == tokens["claims"]["sub"]


def test_an_application_takes_its_tokens_back(rp, by_password):
    other = relying.register(client_id="other")
    tokens = rp.enter(by_password, scope="openid offline_access")
    assert other.call("revoke", {"token": tokens["access_token"]}).status_code == 200
    assert rp.introspect(tokens["access_token"])["active"], "another application takes nothing back"
    assert other.introspect(tokens["access_token"]) == {"active": False}
    assert rp.call("revoke", {"token": tokens["access_token"]}).status_code == 200
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert rp.call("revoke", {"token": tokens["refresh_token"]}).status_code == 200
    assert refused(rp.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_keys_are_announced_a_day_before_they_sign_and_verify_after(rp, by_password, monkeypatch):
    monkeypatch.setattr(keys, "ALGORITHMS", ("ES256",))
    rp.application = install_application(relying.wish(id_token_alg="ES256"))
    first = rp.enter(by_password)["id_token"]
    kid, start = jwt.get_unverified_header(first)["kid"], timezone.now()
    rp.server.get("/oidc/jwks")

    def published() -> set[str]:
        return {key["kid"] for key in rp.server.get("/oidc/jwks").json()["keys"] if key["alg"] == "ES256"}

    before = published()
    assert keys.turn_keys(at=start + timedelta(days=1)) == 0
    assert keys.turn_keys(at=start + timedelta(days=89, hours=1)) > 0
    announced = published()
    assert len(announced) == 2
    assert jwt.get_unverified_header(rp.enter(by_password)["id_token"])["kid"] == kid, "it does not sign yet"
    keys.turn_keys(at=start + timedelta(days=91))
    assert published() == announced > before, "the old one still verifies"
    keys.turn_keys(at=start + timedelta(days=181))
    keys.turn_keys(at=start + timedelta(days=183))
    assert not before & published()
    assert not bytes(SigningKey.objects.filter(alg="ES256", state=KeyState.RETIRED).get().sealed), "a retired key is gone"


def test_a71_a_key_that_somebody_wrote_into_the_table_is_not_published(rp):
    before = rp.server.get("/oidc/jwks").json()
    at = timezone.now()
    for state, sealed in ((KeyState.PREVIOUS, b""), (KeyState.NEXT, SigningKey.objects.get(alg="ES256").sealed)):
        SigningKey.objects.create(
            kid=f"evil {state}", site="shanxi", alg="ES256", state=state, sealed=sealed, created_at=at, state_since=at
        )
    assert rp.server.get("/oidc/jwks").json() == before


def test_signing_keys_open_under_a_former_secret_and_are_sealed_anew(rp, by_password, settings):
    rp.enter(by_password)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another " * 8, [settings.SECRET_KEY]
    found = keys.rekey()
    assert (found.failed, found.done) == ([], SigningKey.objects.count())
    keys._opened.cache_clear()
    settings.SECRET_KEY_FALLBACKS = []
    assert {keys.signing_key("shanxi", alg)[0] for alg in keys.ALGORITHMS} == set(SigningKey.objects.values_list("kid", flat=True))
