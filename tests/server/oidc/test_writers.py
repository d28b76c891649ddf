"""A69: somebody who writes into the database without the server's secret makes an entry their own, or good again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from worlds import relying
from worlds.browser import logged_in
from worlds.relying import challenge_of, query_of

from calock.server.cas.models import ServiceTicket
from calock.server.cas.services import ValidationError
from calock.server.gate.models import Pass
from calock.server.gate.services import give_pass, grant_behind
from calock.server.grants.models import Grant
from calock.server.oidc.models import Code, Token

pytestmark = pytest.mark.django_db

NONE = {"redirect_uris": [], "post_logout_redirect_uris": [], "offline": False, "resources": []}
SERVICE, BEHIND = "https://mall.example/in", "https://host.example/x"


@pytest.fixture
def insider(lock_world):
    return logged_in(lock_world.colleague)


@pytest.fixture
def victim(lock_world):
    """Somebody who is logged in, and has entered the same applications."""
    return logged_in(lock_world.member)


def entry_of(account) -> Grant:
    return Grant.objects.get(account=account)


def test_a69_a_code_or_an_entry_turned_into_another_persons_is_worth_nothing(rp, insider, victim, lock_world):
    rp.enter(victim)
    code = rp.answer(insider)["code"]
    Code.objects.filter(used_at__isnull=True).update(grant=entry_of(lock_world.member))
    assert rp.exchange(code).json()["error"] == "invalid_grant"
    Grant.objects.filter(account=lock_world.colleague).delete()
    code = rp.answer(insider)["code"]
    Grant.objects.filter(account=lock_world.colleague).update(
        account=lock_world.member, session=entry_of(lock_world.member).session
    )
    assert rp.exchange(code).json()["error"] == "invalid_grant"


def test_a69_a_token_turned_into_another_persons_opens_nothing(rp, insider, victim, lock_world):
    rp.enter(victim)
    tokens = rp.enter(insider, scope="openid offline_access")
    Token.objects.filter(grant__account=lock_world.colleague).update(grant=entry_of(lock_world.member))
    assert rp.user_info(tokens["access_token"]).status_code == 401
    assert rp.introspect(tokens["access_token"]) == {"active": False}
    assert rp.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a69_a_ticket_turned_into_another_persons_is_not_validated(insider, victim, lock_world):
    mall = relying.register(client_id="mall", protocols=["cas"], cas_services=["https://mall.example/"], **NONE)
    victim.client.get("/cas/login", {"service": SERVICE})
    ServiceTicket.objects.all().delete()
    back = insider.client.get("/cas/login", {"service": SERVICE})["Location"]
    ServiceTicket.objects.update(grant=entry_of(lock_world.member))
    told = mall.server.get("/cas/serviceValidate", {"service": SERVICE, "ticket": query_of(back)["ticket"]})
    assert b"INVALID_TICKET" in told.content


def test_a69_a_pass_turned_into_another_persons_opens_no_gate(insider, victim, lock_world):
    relying.register(client_id="gate", protocols=["gate"], gate_urls=["https://host.example/"], **NONE)
    asked = {"url": BEHIND, "state": "s" * 32}
    victim.client.get("/auth/enter", asked)
    back = insider.client.get("/auth/enter", asked)["Location"]
    now = timezone.now()
    value = give_pass(ticket=query_of(back)["ticket"], service=BEHIND, site="shanxi", at=now)
    assert grant_behind(value, address=BEHIND, site="shanxi", at=now) == entry_of(lock_world.colleague)
    Pass.objects.update(grant=entry_of(lock_world.member))
    assert grant_behind(value, address=BEHIND, site="shanxi", at=now) is None


@pytest.fixture
def mall(lock_world):
    places = {"cas_services": ["https://mall.example/"], "gate_urls": ["https://host.example/"]}
    return relying.register(client_id="mall", protocols=["cas", "gate"], **places, **NONE)


def tickets(person) -> list[str]:
    """One for the service and one for the gate, each read in the database, where single logout needs it."""
    person.client.get("/cas/login", {"service": SERVICE})
    person.client.get("/auth/enter", {"url": BEHIND, "state": "s" * 32})
    return [ServiceTicket.objects.get(service=place).ticket for place in (SERVICE, BEHIND)]


def test_a69_what_is_used_and_over_is_not_made_good_again(rp, mall, victim):
    ticket, passing = tickets(victim)
    sent = {"service": SERVICE, "ticket": ticket}
    assert b"authenticationSuccess" in mall.server.get("/cas/serviceValidate", sent).content
    give_pass(ticket=passing, service=BEHIND, site="shanxi", at=timezone.now())
    Pass.objects.all().delete()
    code = rp.answer(victim)["code"]
    assert "id_token" in rp.exchange(code).json()
    anew = {"used_at": None, "expires_at": timezone.now() + timedelta(days=1)}
    ServiceTicket.objects.update(**anew)
    Code.objects.update(**anew)
    assert b"INVALID_TICKET" in mall.server.get("/cas/serviceValidate", sent).content
    with pytest.raises(ValidationError, match="unknown, used or over"):
        give_pass(ticket=passing, service=BEHIND, site="shanxi", at=timezone.now())
    assert rp.exchange(code).json()["error"] == "invalid_grant"


def test_a69_a_ticket_or_code_is_good_for_nothing_but_what_it_was_issued_for(rp, mall, victim):
    ticket, passing = tickets(victim)
    own = {"service": f"{SERVICE}/own", "renewed": True}
    ServiceTicket.objects.update(**own)
    told = mall.server.get("/cas/serviceValidate", {"service": own["service"], "ticket": ticket})
    assert b"INVALID_TICKET" in told.content
    with pytest.raises(ValidationError, match="unknown, used or over"):
        give_pass(ticket=passing, service=own["service"], site="shanxi", at=timezone.now())
    code, rp.verifier = rp.answer(victim)["code"], "w" * 50
    Code.objects.update(code_challenge=challenge_of(rp.verifier), nonce="mine")
    assert rp.exchange(code).json()["error"] == "invalid_grant"


def test_a69_a_token_neither_lasts_longer_nor_says_more_than_it_was_issued_for(rp, victim):
    tokens = rp.enter(victim, scope="openid offline_access")
    Token.objects.filter(kind=Token.Kind.ACCESS).update(expires_at=timezone.now() + timedelta(days=1))
    assert rp.user_info(tokens["access_token"]).status_code == 401
    Token.objects.filter(kind=Token.Kind.REFRESH).update(scope="openid profile offline_access")
    assert rp.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
