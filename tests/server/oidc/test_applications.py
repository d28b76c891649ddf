"""Who may register an application, what may be registered, and what happens when somebody writes into its row."""

from __future__ import annotations

import base64

import pytest
from worlds import relying
from worlds.browser import console_client, page_client
from worlds.relying import CALLBACK, wish

from calock.core.refusals import Refusal
from calock.server.accounts.models import Account, Role
from calock.server.applications.models import Application
from calock.server.applications.services import propose_application
from calock.server.applications.wishes import Wish, clean
from calock.server.applications.words import facts_of
from calock.server.approvals.models import Approval
from calock.server.approvals.services import approve
from calock.server.audit.models import AuditEvent
from calock.server.tools.digests import digest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uris": ["http://caigou.example/callback"]},
        {"redirect_uris": ["https://*.caigou.example/callback"]},
        {"redirect_uris": ["https://caigou.example/a#b"]},
        {"redirect_uris": ["https://caigou.example/../callback"]},
        {"redirect_uris": ["https://user@caigou.example/callback"]},
        {"redirect_uris": ["https://CAIGOU.example/callback"]},
        {"redirect_uris": ["https://caigou.example"]},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": []},
        {"protocols": []},
        {"audience": ["everybody"]},
        {"client_id": "Cai Gou"},
        {"auth_method": "none"},
        {"auth_method": "private_key_jwt"},
        {"auth_method": "private_key_jwt", "jwks": [{"kty": "oct", "k": "c2VjcmV0"}]},
        {"jwks": [{"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}]},
        {"secrets": ["plain text"]},
        {"id_token_alg": "none"},
        {"id_token_alg": "HS256"},
        {"made_up": 1},
        {"pairwise": True, "protocols": ["oidc", "cas"], "cas_services": ["https://caigou.example/cas/"]},
    ],
    ids=str,
)
def test_what_could_let_a_stranger_in_is_not_registered(changed):
    with pytest.raises(Refusal) as refused:
        clean(wish(**changed))
    assert refused.value.reason == "APPLICATION_REFUSED"


def test_a_private_key_is_not_taken_for_a_public_one():
    private = relying.keys.ECKey.import_key(relying.own_key()).as_dict(private=True)
    with pytest.raises(Refusal, match="公钥"):
        clean(wish(auth_method="private_key_jwt", jwks=[private]))


def test_the_second_operator_sees_that_a_key_is_another_one_however_alike_it_begins():
    """160 leading bits of a modulus can be chosen; ``alg`` beside the key counts too, and so does the empty level."""

    def registered(last: str, **changed) -> Wish:
        modulus = base64.urlsafe_b64encode(b"\xc5" * 255 + last.encode()).rstrip(b"=").decode()
        key = {"kty": "RSA", "e": "AQAB", "kid": "1", "n": modulus, **changed.pop("key", {})}
        return clean(wish(auth_method="private_key_jwt", secrets=[], jwks=[key], **changed))

    before = registered("a")
    for after in (registered("c"), registered("a", key={"alg": "RS256"}), registered("a", require_level="password")):
        (_, change) = facts_of(after, before, state="enabled", was="enabled")
        assert change[1].alarming
        assert change[1].differs


def test_plain_http_is_for_this_very_computer_in_a_demonstration_alone(settings):
    local = wish(redirect_uris=["http://caigou.localhost:8791/callback"])
    clean(local)
    object.__setattr__(settings.CALOCK, "insecure_http", False)
    try:
        with pytest.raises(Refusal):
            clean(local)
    finally:
        object.__setattr__(settings.CALOCK, "insecure_http", True)


@pytest.fixture
def operators(lock_world):
    second = Account.objects.create_account(username="yunying2", name="运营乙", role=Role.OPERATOR)
    return lock_world.operator, second


def decided(approval: Approval, by: Account) -> Application:
    approve(approval_id=approval.pk, version=approval.version, sha256=approval.sha256, by=by, context=None)
    return Application.objects.get(pk=approval.target)


def test_two_operators_register_and_change_an_application_and_keys_overlap(operators):
    first, second = operators
    approval = propose_application(values=wish(), reason="接入", by=first, context=None)
    assert not Application.objects.exists()
    with pytest.raises(Refusal, match="SECOND_OPERATOR_NEEDED"):
        decided(approval, first)
    row = decided(approval, second)
    rp = relying.RelyingParty(row)
    answer = console_client(first).post(
        f"/console/applications/{row.pk}/step/", {"step": "new_secret", "version": row.version, "reason": "定期更换"}
    )
    secret = answer.content.decode().partition('data-copy="')[2].partition('"')[0]
    assert len(secret) == 50
    assert digest(secret) not in row.wish.secrets
    row = decided(Approval.objects.get(state="pending"), second)
    assert row.wish.secrets == (digest(secret), digest(relying.SECRET)), "both work until the application goes by the newer"
    for known in (relying.SECRET, secret):
        rp.secret, rp.application = known, row
        assert rp.call("introspect", {"token": "x"}).status_code == 200
    assert secret not in str(AuditEvent.objects.values_list("details", flat=True)) + str(Approval.objects.values_list("payload"))


def test_a_row_that_somebody_wrote_into_lets_nobody_in(rp, by_password):
    row = rp.application
    content = {**row.content, "redirect_uris": [CALLBACK, "https://evil.example/"]}
    Application.objects.filter(pk=row.pk).update(content=content)
    for address in (CALLBACK, "https://evil.example/"):
        answer = rp.ask(by_password, redirect_uri=address)
        assert answer.status_code == 503
        assert "Location" not in answer
    assert rp.exchange("x").status_code == 401


def test_a_suspended_application_lets_nobody_in_and_its_tokens_end(rp, by_password, operators):
    tokens = rp.enter(by_password)
    page = f"/console/applications/{rp.application.pk}/step/"
    console_client(operators[0]).post(page, {"step": "suspend", "version": rp.application.version, "reason": "漏洞"})
    assert rp.user_info(tokens["access_token"]).status_code == 401
    answer = rp.ask(by_password)
    assert answer.status_code == 400
    assert "未在本平台登记或已停用" in answer.content.decode()


def test_tiles_are_there_for_the_kinds_of_organisation_that_they_are_for(lock_world):
    relying.register(audience=["supplier"])
    relying.register(client_id="jianguan", name="监管平台", audience=["regulator"])
    relying.register(client_id="zcy-one", name="电子卖场", site="zcy")
    page = page_client("shanxi", lock_world.member).get("/apps/").content.decode()
    assert "https://caigou.example/login?iss=http%3A%2F%2Fshanxi.localhost%3A8000" in page
    assert "监管平台" not in page
    assert "电子卖场" not in page
    assert "项目采购" not in page_client("shanxi", lock_world.expert).get("/apps/").content.decode()
    assert "电子卖场" in page_client("zcy", lock_world.member).get("/user-center/").content.decode()


def test_the_console_shows_the_last_refused_requests_with_their_reasons(rp, by_password, operators):
    rp.answer(by_password, code_challenge=None)
    rp.ask(by_password, redirect_uri="https://evil.example/")
    rp.secret = "wrong"
    rp.exchange("x")
    page = console_client(operators[0]).get(f"/console/applications/{rp.application.pk}/").content.decode()
    for words in ("PKCE is required", "REDIRECT_NOT_REGISTERED", "invalid_client"):
        assert words in page
    assert relying.SECRET not in page


def test_applications_with_names_of_their_own_for_people_cannot_compare_them(by_lock):
    """OpenID Connect Core clause 8.1: another ``sub`` in each, and nothing beside it that names the account."""
    told = []
    for name in ("caigou", "shangcheng"):
        party = relying.register(client_id=name, pairwise=True)
        tokens = party.enter(by_lock, scope="openid profile calock")
        found = party.user_info(tokens["access_token"]).json()
        assert found["sub"] == tokens["claims"]["sub"]
        told.append(found)
    first, second = told
    assert first["sub"] != second["sub"]
    assert set(first["lock"]) == {"provider", "provider_name", "not_after"}
    assert "preferred_username" not in first


def test_other_applications_are_told_the_account_name_and_the_lock(rp, by_lock, lock_world):
    found = rp.user_info(rp.enter(by_lock, scope="openid profile calock")["access_token"]).json()
    assert found["sub"] == str(lock_world.member.pk)
    assert (found["preferred_username"], found["lock"]["id"]) == ("zhangsan", "SX-0001")
