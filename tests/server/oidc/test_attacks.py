"""What is tried against the OpenID provider, by the numbers of the catalogue: A67 and A71 to A75."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.utils import timezone
from worlds import relying
from worlds.browser import Browser
from worlds.practice import ORIGIN
from worlds.relying import CALLBACK, LEFT, LOCK_LEVEL, METADATA, own_key, query_of, refused

from calock.server.applications.installation import install_application
from calock.server.audit.models import AuditEvent
from calock.server.gate.services import give_pass
from calock.server.grants.decide import decide
from calock.server.grants.models import Grant, PendingRequest
from calock.server.locks.models import Binding
from calock.server.oidc import authorize
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
