"""The modules of the OpenID conformance suite, one after the other, by a client that is not the provider's library.

In the docstrings: the suite's names without their prefix ``oidcc-``. Whole logins by openid-client: tests/journeys, `make drill`.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from django.conf import settings
from worlds import relying
from worlds.browser import Browser
from worlds.practice import ORIGIN
from worlds.relying import CALLBACK, LEFT, LOCK_LEVEL, METADATA, PASSWORD_LEVEL, challenge_of, make_older, own_key, query_of
from worlds.rows import PASSWORD

from calock.server.accounts.models import Account
from calock.server.applications.installation import install_application
from calock.server.grants.models import Grant, PendingRequest
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db


def after_login(response) -> str:
    """Where a person goes who was sent to prove themselves first."""
    assert response.status_code == 302, response.content.decode()[:1000]
    return query_of(response["Location"])["next"]


def give_password() -> None:
    account = Account.objects.get(username="zhangsan")
    account.set_password(PASSWORD)
    account.save()


def log_in_by_password(browser, address: str) -> None:
    give_password()
    form = {"username": "zhangsan", "password": PASSWORD, "next": address}
    answer = browser.client.post("/login/", form, headers={"origin": ORIGIN})
    assert answer.status_code == 302, answer.content.decode()[:3000]
    assert answer["Location"] == address


def test_discovery_is_true_in_every_field(rp):
    """discovery-endpoint-verification, discovery-jwks-uri-keys, discovery-issuer-…."""
    found = rp.server.get(METADATA).json()
    assert found["issuer"] == ORIGIN
    for name, address in found.items():
        if name.endswith(("_endpoint", "_uri")):
            assert address.startswith(f"{ORIGIN}/oidc/"), name
            assert rp.server.get(address.removeprefix(ORIGIN)).status_code in (200, 303, 400, 401, 405), name
    assert found["response_types_supported"] == ["code"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert not any(found[f"{name}_parameter_supported"] for name in ("request", "request_uri", "claims"))
    keys = rp.server.get("/oidc/jwks").json()["keys"]
    assert {key["alg"] for key in keys} == set(found["id_token_signing_alg_values_supported"]) == {"RS256", "ES256"}
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & {field for key in keys for field in key}


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_a_whole_login_with_each_client_authentication(rp, by_lock, method):
    """server, server-client-secret-post, alternate-happy-flow."""
    changed = {"secrets": [], "jwks": [relying.jwk(own_key())]} if method == "private_key_jwt" else {}
    rp.application = install_application(relying.wish(auth_method=method, **changed))
    tokens = rp.enter(by_lock, redirect_uri="https://caigou.example/other?tenant=1")
    assert tokens["token_type"] == "Bearer"
    assert tokens["claims"]["acr"] == LOCK_LEVEL
    assert tokens["claims"]["amr"] == ["swk", "pin", "mfa"]
    assert rp.user_info(tokens["access_token"]).json() == {"sub": tokens["claims"]["sub"]}
    assert len(tokens["claims"]["sid"]) == 32


def test_a_request_may_come_by_post_from_elsewhere(rp, by_password):
    """ensure-post-request-succeeds: the browser brings no cookie along with it."""
    stranger = Browser()
    moved = stranger.client.post("/oidc/authorize", rp.parameters(), headers={"origin": "https://caigou.example"})
    assert moved.status_code == 303
    assert "code" in rp.back(by_password.client.get(moved["Location"]))


def test_without_a_response_type_or_with_another_the_application_is_told(rp, by_password):
    """response-type-missing."""
    assert rp.answer(by_password, response_type=None)["error"] == "invalid_request"
    for other in ("token", "id_token", "code id_token", "none"):
        found = rp.answer(by_password, response_type=other)
        assert found["error"] == "unsupported_response_type"
        assert found["state"] == "st/ate&1"


def test_id_tokens_are_rs256_unless_registered_otherwise_and_never_unsigned(rp, by_password):
    """idtoken-signature, idtoken-unsigned."""
    header = jwt.get_unverified_header(rp.enter(by_password)["id_token"])
    assert header["alg"] == "RS256"
    rp.application = install_application(relying.wish(id_token_alg="ES256"))
    assert jwt.get_unverified_header(rp.enter(by_password)["id_token"])["alg"] == "ES256"
    assert "none" not in rp.server.get(METADATA).json()["id_token_signing_alg_values_supported"]


def test_userinfo_answers_get_and_post_with_the_same_sub(rp, by_password):
    """userinfo-get, -post-header, -post-body."""
    tokens = rp.enter(by_password)
    token, bearer = tokens["access_token"], {"Authorization": f"Bearer {tokens['access_token']}"}
    answers = [
        rp.server.get("/oidc/userinfo", headers=bearer),
        rp.server.post("/oidc/userinfo", headers=bearer),
        rp.server.post("/oidc/userinfo", {"access_token": token}),
    ]
    assert {answer.json()["sub"] for answer in answers} == {tokens["claims"]["sub"]}
    assert {answer["Cache-Control"] for answer in answers} == {"no-store"}
    in_address = rp.server.get("/oidc/userinfo", {"access_token": token})
    assert in_address.status_code == 401, "a token in an address is in every log"


def test_without_a_nonce_none_comes_back(rp, by_password):
    """ensure-request-without-nonce-succeeds-for-code-flow."""
    tokens = rp.exchange(rp.answer(by_password, nonce=None)["code"]).json()
    assert "nonce" not in rp.verified(tokens["id_token"])


def test_scopes_give_their_claims_and_unknown_ones_are_ignored(rp, by_lock, lock_world):
    """scope-profile, -email, -address, -phone, -all."""
    tokens = rp.enter(by_lock, scope="openid email phone address profile calock made-up")
    assert tokens["scope"] == "openid profile calock"
    info = rp.user_info(tokens["access_token"]).json()
    assert info["name"] == "张三"
    assert info["preferred_username"] == "zhangsan"
    assert info["org"]["uscc"] == lock_world.organisation.uscc
    assert info["org"]["kind"] == "supplier"
    assert info["lock"]["id"] == "SX-0001"
    assert info["lock"]["provider"] == "lianxi-ec"
    assert "email" not in info
    assert set(tokens["claims"]) == {
        "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
    }, "nothing personal stands in an ID token"  # fmt: skip
    assert rp.answer(by_lock, scope="profile")["error"] == "invalid_scope"


def test_hints_and_unknown_parameters_are_no_error_and_help_the_person(rp, browser):
    """display-page, -popup, ensure-request-with-unknown-parameter-succeeds, ui-locales, claims-locales, login-hint."""
    more = {"display": "popup", "claims_locales": "zh", "made_up": "1", "ui_locales": "fr en", "login_hint": "zhangsan"}
    response = rp.ask(browser, **more)
    address = response["Location"]
    page = browser.client.get(address)
    assert page.status_code == 200
    assert 'value="zhangsan"' in page.content.decode()
    assert page["Content-Language"] == "en"
    log_in_by_password(browser, after_login(response))
    assert "code" in rp.back(browser.client.get(query_of(address)["next"]))


def test_prompt_login_asks_again_and_gives_a_later_time(rp, by_password, lock_world):
    """prompt-login, max-age-1: and no loop, however small max_age is."""
    make_older(100)
    first = rp.enter(by_password)["claims"]["auth_time"]
    for asked in ({"prompt": "login"}, {"max_age": "1"}, {"max_age": "0"}):
        make_older(2)
        response = rp.ask(by_password, **asked)
        assert urlsplit(response["Location"]).path == "/confirm/", asked
        waiting = after_login(response)
        assert urlsplit(by_password.client.get(waiting)["Location"]).path == "/confirm/", "nothing was proved yet"
        prove_by_password(by_password)
        later = rp.verified(rp.exchange(rp.back(by_password.client.get(waiting))["code"]).json()["id_token"])["auth_time"]
        assert later > first
        assert by_password.client.get(waiting).status_code == 400, "a request is answered once"


def prove_by_password(browser) -> None:
    give_password()
    answer = browser.client.post("/confirm/?next=/apps/", {"password": PASSWORD}, headers={"origin": ORIGIN})
    assert answer.status_code == 302, answer.content.decode()[:2000]


def test_prompt_none_never_asks(rp, browser, by_password):
    """prompt-none-not-logged-in, prompt-none-logged-in."""
    found = rp.answer(browser, prompt="none")
    assert found["error"] == "login_required"
    assert found["state"] == "st/ate&1"
    assert "code" in rp.answer(by_password, prompt="none")
    assert rp.answer(by_password, prompt="none", acr_values=LOCK_LEVEL)["error"] == "login_required"
    make_older(50)
    assert rp.answer(by_password, prompt="none", max_age="10")["error"] == "login_required"
    assert rp.answer(by_password, prompt="none login")["error"] == "invalid_request"
    assert not PendingRequest.objects.exists()


def test_an_id_token_hint_of_somebody_else_is_login_required(rp, by_password, lock_world):
    """id-token-hint."""
    token = rp.enter(by_password)["id_token"]
    assert "code" in rp.answer(by_password, prompt="none", id_token_hint=token)
    other = Browser()
    other.enter(lock_world.colleague)
    assert rp.answer(other, prompt="none", id_token_hint=token)["error"] == "login_required"
    assert rp.answer(other, prompt="none", id_token_hint=token[:-8] + "AAAAAAAA")["error"] == "invalid_request"


def test_a_large_max_age_does_not_ask(rp, by_password):
    """max-age-10000."""
    make_older(100)
    first, second = rp.enter(by_password, max_age="10000"), rp.enter(by_password, max_age="10000")
    assert first["claims"]["auth_time"] == second["claims"]["auth_time"]


def test_each_advertised_level_is_reached_and_returned(rp, by_password, by_lock, lock):
    """ensure-request-with-acr-values-succeeds."""
    assert rp.server.get(METADATA).json()["acr_values_supported"] == [PASSWORD_LEVEL, LOCK_LEVEL]
    assert rp.enter(by_password, acr_values=PASSWORD_LEVEL)["claims"]["acr"] == PASSWORD_LEVEL
    assert rp.enter(by_lock, acr_values=f"{LOCK_LEVEL} {PASSWORD_LEVEL}")["claims"]["acr"] == LOCK_LEVEL
    assert rp.enter(by_password, acr_values="urn:mace:incommon:iap:silver")["claims"]["acr"] == PASSWORD_LEVEL
    response = rp.ask(by_password, acr_values=LOCK_LEVEL)
    assert query_of(response["Location"])["by"] == "lock"
    page = by_password.client.get(response["Location"]).content.decode()
    assert 'type="password" autocomplete="current-password"' not in page
    assert by_password.step_up(lock).status_code == 200
    tokens = rp.exchange(rp.back(by_password.client.get(after_login(response)))["code"]).json()
    claims = rp.verified(tokens["id_token"])
    assert (claims["acr"], claims["amr"]) == (LOCK_LEVEL, ["swk", "pin", "mfa", "pwd"])


def test_a_code_used_twice_is_refused_and_takes_its_tokens_along(rp, by_password):
    """codereuse, codereuse-30seconds."""
    code = rp.answer(by_password, scope="openid offline_access")["code"]
    tokens = rp.exchange(code).json()
    assert rp.user_info(tokens["access_token"]).status_code == 200
    again = rp.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert rp.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert rp.introspect(tokens["access_token"]) == {"active": False}


def test_request_objects_are_refused_by_name(rp, by_password):
    """request-uri-unsigned-…, unsigned-request-object-…, ensure-request-object-with-redirect-uri."""
    unsigned = jwt.encode({"redirect_uri": "https://evil.example/"}, None, algorithm="none")
    assert rp.answer(by_password, request=unsigned)["error"] == "request_not_supported"
    assert rp.answer(by_password, request_uri="https://caigou.example/request.jwt")["error"] == "request_uri_not_supported"


def test_a_refresh_token_turns_and_an_old_one_ends_the_family(rp, by_password):
    """refresh-token."""
    tokens = rp.enter(by_password, scope="openid profile offline_access", prompt="consent")
    newer = rp.refresh(tokens["refresh_token"]).json()
    assert rp.verified(newer["id_token"])["sub"] == tokens["claims"]["sub"]
    assert rp.verified(newer["id_token"])["auth_time"] == tokens["claims"]["auth_time"]
    assert newer["refresh_token"] != tokens["refresh_token"]
    less = rp.refresh(newer["refresh_token"], scope="openid").json()
    assert less["scope"] == "openid"
    assert rp.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert rp.user_info(less["access_token"]).status_code == 401


def test_pkce_is_asked_of_everybody(rp, by_password):
    """ensure-request-with-valid-pkce-succeeds: and without, or plain, nothing."""
    found = rp.answer(by_password, code_challenge=None, code_challenge_method=None)
    assert found["error"] == "invalid_request"
    assert rp.answer(by_password, code_challenge="v" * 50, code_challenge_method="plain")["error"] == "invalid_request"
    assert rp.answer(by_password, code_challenge_method=None)["error"] == "invalid_request"
    assert "access_token" in rp.exchange(rp.answer(by_password)["code"]).json()


# --- RP-initiated logout


def live() -> int:
    return Session.objects.filter(ended_at__isnull=True).count()


def test_an_application_logs_its_person_out_without_a_question(rp, by_password):
    """rp-initiated-logout."""
    before, hint = live(), rp.enter(by_password)["id_token"]
    sent = {"id_token_hint": hint, "post_logout_redirect_uri": LEFT, "state": "s/1"}
    answer = by_password.client.get("/oidc/logout", sent)
    assert (answer.status_code, answer["Location"]) == (303, f"{LEFT}?state=s%2F1")
    assert live() == before - 1
    assert "code" not in (query_of(rp.ask(by_password)["Location"]))


@pytest.mark.parametrize(
    "case",
    ["bad-post-logout-redirect-uri", "query-added-to-post-logout-redirect-uri", "modified-id-token-hint", "bad-id-token-hint"],
)
def test_a_wrong_logout_request_ends_nothing_and_sends_nobody_away(rp, by_password, case):
    """rp-initiated-logout-bad-post-logout-redirect-uri, -query-added-…, -modified-id-token-hint, -bad-id-token-hint."""
    before, hint = live(), rp.enter(by_password)["id_token"]
    sent = {
        "bad-post-logout-redirect-uri": {"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.example/"},
        "query-added-to-post-logout-redirect-uri": {"id_token_hint": hint, "post_logout_redirect_uri": f"{LEFT}?x=1"},
        "modified-id-token-hint": {"id_token_hint": hint[:-10] + "AAAAAAAAAA", "post_logout_redirect_uri": LEFT},
        "bad-id-token-hint": {"id_token_hint": "e30.e30.e30", "post_logout_redirect_uri": LEFT},
    }[case]
    answer = by_password.client.get("/oidc/logout", sent)
    assert answer.status_code == 400
    assert live() == before


@pytest.mark.parametrize(
    ("case", "sent", "then"),
    [
        ("no-id-token-hint", {"client_id": "caigou", "post_logout_redirect_uri": LEFT, "state": "s"}, f"{LEFT}?state=s"),
        ("no-params", {}, "/"),
        ("only-state", {"state": "s"}, "/"),
        ("no-post-logout-redirect-uri", {"client_id": "caigou", "state": "s"}, "/"),
        ("no-state", {"client_id": "caigou", "post_logout_redirect_uri": LEFT}, LEFT),
    ],
)
def test_without_a_hint_the_person_is_asked_first(rp, by_password, case, sent, then):
    """rp-initiated-logout-no-id-token-hint, -no-params, -only-state, -no-post-logout-redirect-uri, -no-state; A74."""
    before = live()
    page = by_password.client.get("/oidc/logout", sent)
    assert page.status_code == 200, case
    assert "确认退出登录" in page.content.decode()
    assert live() == before
    if "post_logout_redirect_uri" in sent:
        assert "form-action 'self' https://caigou.example" in page["Content-Security-Policy"]
    answer = by_password.client.post("/oidc/logout/confirmed", sent, headers={"origin": ORIGIN})
    assert (answer.status_code, answer["Location"]) == (303, then)
    assert live() == before - 1


def test_whoever_is_not_logged_in_goes_on_to_the_registered_address(rp, browser):
    sent = {"client_id": "caigou", "post_logout_redirect_uri": LEFT}
    assert browser.client.get("/oidc/logout", sent)["Location"] == LEFT


def test_a_person_who_is_not_logged_in_comes_back_after_the_login(rp, browser, lock):
    """server, from the very beginning: the login page, by lock."""
    response = rp.ask(browser)
    assert urlsplit(response["Location"]).path == "/login/"
    waiting = after_login(response)
    page = browser.client.get(response["Location"])
    assert "form-action 'self' https://caigou.example" in page["Content-Security-Policy"]
    assert browser.log_in(lock, next=waiting).json() == {"next": waiting}
    tokens = rp.exchange(rp.back(browser.client.get(waiting))["code"]).json()
    assert rp.verified(tokens["id_token"])["acr"] == LOCK_LEVEL
    assert Grant.objects.get().account.username == "zhangsan"


def test_cookies_and_challenges_are_what_the_test_says():
    """The replay stands on this: a verifier's challenge by RFC 7636 appendix B."""
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert parse_qs(urlencode({"a": CALLBACK})) == {"a": [CALLBACK]}
    assert settings.CALOCK.insecure_http
