"""CAS 3.0: tickets that are good once, for ten seconds, for one registered service."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from django.utils import timezone
from worlds import relying
from worlds.browser import Browser
from worlds.practice import ORIGIN
from worlds.relying import query_of

from calock.core.refusals import Refusal
from calock.server.accounts.models import Account
from calock.server.applications import installation
from calock.server.applications.models import Application, OwnAddress
from calock.server.applications.services import store
from calock.server.cas.models import ServiceTicket
from calock.server.cas.services import ValidationError
from calock.server.gate.services import give_pass
from calock.server.grants.models import Grant
from calock.server.sessions.models import Session

pytestmark = pytest.mark.django_db

SERVICE = "https://maichang.example/app/login?next=/%E5%95%86%E5%93%81"
CAS = "{http://www.yale.edu/tp/cas}"


@pytest.fixture
def mall(lock_world):
    return relying.register(**registered())


def registered(**changed):
    own = {
        "client_id": "maichang", "name": "电子卖场", "protocols": ["cas"], "redirect_uris": [], "post_logout_redirect_uris": [],
        "cas_services": ["https://maichang.example/app/"],
    }  # fmt: skip
    return {**own, **changed}


def ticket_of(browser, service=SERVICE, **more) -> str:
    answer = browser.client.get("/cas/login", {"service": service, **more})
    assert answer.status_code == 303, answer.content.decode()[:1000]
    head, _, ticket = answer["Location"].rpartition("&ticket=" if "?" in service else "?ticket=")
    assert head == service
    assert re.fullmatch(r"ST-[A-Za-z0-9]{43}", ticket), "mod_auth_cas goes round in circles over an underscore"
    return ticket


def validated(ticket, service=SERVICE, path="/cas/p3/serviceValidate", **more) -> ET.Element:
    answer = Browser().client.get(path, {"service": service, "ticket": ticket, **more})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/xml")
    return ET.fromstring(answer.content)


def refusal_of(told: ET.Element) -> str:
    (failure,) = told
    assert failure.tag == f"{CAS}authenticationFailure"
    return failure.attrib["code"]


def test_a_lock_login_enters_a_cas_service_with_its_attributes(mall, by_lock):
    told = validated(ticket_of(by_lock))
    found = {item.tag.removeprefix(CAS): item.text for item in told.iter()}
    assert found["user"] == "zhangsan"
    assert found["acr"] == relying.LOCK_LEVEL
    assert found["org_kind"] == "supplier"
    assert found["isFromNewLogin"] == "false"
    assert found["authenticationDate"].endswith("+00:00")
    plain = validated(ticket_of(by_lock), path="/cas/serviceValidate")
    assert [item.tag for item in plain.iter()][-1] == f"{CAS}attributes", "version 2 has no attributes"


def test_somebody_who_is_not_logged_in_comes_back_after_the_login(mall, browser, lock):
    answer = browser.client.get("/cas/login", {"service": SERVICE})
    waiting = query_of(answer["Location"])["next"]
    page = browser.client.get(answer["Location"])
    assert "form-action 'self' https://maichang.example" in page["Content-Security-Policy"]
    assert browser.log_in(lock, next=waiting).json()["next"] == waiting
    assert browser.client.get(waiting)["Location"].startswith(f"{SERVICE}&ticket=ST-")
    assert browser.client.get(waiting).status_code == 400


def test_renew_asks_again_and_gateway_asks_nobody(mall, browser, by_lock, lock):
    assert browser.client.get("/cas/login", {"service": SERVICE, "gateway": "true"})["Location"] == SERVICE
    ordinary = ticket_of(by_lock)
    assert refusal_of(validated(ordinary, renew="true")) == "INVALID_TICKET"
    answer = by_lock.client.get("/cas/login", {"service": SERVICE, "renew": "true"})
    assert urlsplit(answer["Location"]).path == "/confirm/"
    waiting = query_of(answer["Location"])["next"]
    assert urlsplit(by_lock.client.get(waiting)["Location"]).path == "/confirm/"
    assert by_lock.step_up(lock).status_code == 200
    ticket = by_lock.client.get(waiting)["Location"].partition("ticket=")[2]
    assert validated(ticket, renew="true")[0].tag == f"{CAS}authenticationSuccess"


@pytest.mark.postgresql
def test_a_ticket_is_good_once_for_its_service_and_ten_seconds(mall, by_password):
    assert refusal_of(validated(ticket_of(by_password), service="https://maichang.example/app/other")) == "INVALID_SERVICE"
    ticket = ticket_of(by_password)
    assert validated(ticket)[0].tag == f"{CAS}authenticationSuccess"
    assert refusal_of(validated(ticket)) == "INVALID_TICKET"
    assert Grant.objects.get(ticket__ticket=ticket).revoked_at is not None, "somebody else has it too"
    late = ticket_of(by_password)
    ServiceTicket.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refusal_of(validated(late)) == "INVALID_TICKET"
    over = ticket_of(by_password)
    Session.objects.update(ended_at=timezone.now())
    assert refusal_of(validated(over)) == "INVALID_TICKET"
    assert refusal_of(validated("PT-x")) == "INVALID_TICKET_SPEC"
    assert refusal_of(validated("")) == "INVALID_REQUEST"
    assert refusal_of(validated("ST-\0é<&")) == "INVALID_TICKET"


@pytest.mark.parametrize(
    "service",
    [
        "https://maichang.example/apps/",
        "https://maichang.example/app",
        "https://maichang.example.evil.example/app/",
        "https://maichang.example@evil.example/app/",
        "https://maichang.example:8443/app/",
        "http://maichang.example/app/",
        "https://maichang.example/app/../evil",
        "https://maichang.example/app/%2e%2e/evil",
        "https://maichang.example/app/..%2fevil",
        "https://maichang.example/app/#x",
        "https://maichang.example/app/\\evil",
        "https://maichang.example//evil.example/app/",
        "https://MAICHANG.example/app/",
        "https://evil.example/?https://maichang.example/app/",
        "https://maichang.example/app/" + "x" * 1000,
        "https://maichang.example/app/ x",
        "javascript:alert(1)",
    ],
)
def test_a67_no_ticket_leaves_for_an_address_that_is_not_below_a_registered_one(mall, by_password, service):
    for path in ("/cas/login", "/cas/logout"):
        answer = by_password.client.get(path, {"service": service})
        assert answer.status_code == 400
        assert "Location" not in answer
    assert not ServiceTicket.objects.exists()


@pytest.mark.parametrize("protocol", ["cas", "gate"])
def test_the_longest_registered_address_says_whose_a_page_is(by_password, protocol):
    """The wide application comes first by name; the deep one asks for a lock, and keeps its addresses while it is suspended."""
    name, path, parameter = {"cas": ("cas_services", "/cas/login", "service"), "gate": ("gate_urls", "/auth/enter", "url")}[
        protocol
    ]
    own = {"protocols": [protocol], "cas_services": []}
    relying.register(**registered(client_id="wide", name="A", **{**own, name: ["https://host.example/"]}))
    deep = registered(client_id="deep", name="B", require_level="lock", **{**own, name: ["https://host.example/secret/"]})
    row = relying.register(**deep).application

    def enter(page: str):
        return by_password.client.get(path, {parameter: f"https://host.example/{page}", "state": "s" * 32})

    assert enter("open").status_code == 303
    assert enter("secret/x").status_code == 403, "a password does not do there"
    ticket = query_of(enter("open")["Location"])["ticket"]
    if protocol == "gate":
        value = give_pass(ticket=ticket, service="https://host.example/open", site="shanxi", at=timezone.now())
        by_password.client.cookies["calock-gate"] = value
        checked = [
            by_password.client.get("/auth/check", headers={"X-Original-URL": f"https://host.example/{page}"}).status_code
            for page in ("open", "secret/x")
        ]
        assert checked == [200, 401], "a cookie of the wide one opens nothing of the deep one's"
    row.state = "suspended"
    store(row)
    assert enter("secret/x").status_code == 400
    with pytest.raises(Refusal, match="已由应用 deep 登记"):
        relying.register(**{**deep, "client_id": "third", name: ["https://host.example/secret"]})


def test_of_two_applications_registered_at_once_with_one_address_the_database_keeps_one(mall, by_password, monkeypatch):
    monkeypatch.setattr(installation, "require_own_addresses", lambda _: None)  # as two see it that do not see each other
    other = registered(client_id="other", cas_services=["https://maichang.example/app"])
    with pytest.raises(Refusal, match="另一个应用"):
        relying.register(**other)
    assert not Application.objects.filter(client_id="other").exists()
    OwnAddress.objects.all().delete()  # somebody puts a sealed row back, from before the other had the address
    relying.register(**other)
    answer = by_password.client.get("/cas/login", {"service": "https://maichang.example/app/x"})
    assert (answer.status_code, answer.has_header("Location")) == (503, False)


@pytest.mark.postgresql
def test_a_ticket_of_the_gate_is_none_of_cas_and_the_other_way_round(mall, by_password):
    address, known = "https://maichang.example/app/x", "https://maichang.example/app/"
    gate = registered(client_id="gate", protocols=["gate"], cas_services=[], gate_urls=[known.replace("app", "gate")])
    relying.register(**gate)
    behind = address.replace("app", "gate")
    ticket = query_of(by_password.client.get("/auth/enter", {"url": behind, "state": "s" * 32})["Location"])["ticket"]
    assert refusal_of(validated(ticket, service=behind)) == "INVALID_TICKET"
    assert give_pass(ticket=ticket, service=behind, site="shanxi", at=timezone.now()), "nobody used it up"
    with pytest.raises(ValidationError, match="unknown"):
        give_pass(ticket=ticket_of(by_password, address), service=address, site="shanxi", at=timezone.now())


def test_logging_out_asks_the_person_and_leads_to_a_registered_address_alone(mall, by_password):
    left = "https://maichang.example/app/left"
    page = by_password.client.get("/cas/logout", {"service": left})
    assert page.status_code == 200
    assert "form-action 'self' https://maichang.example" in page["Content-Security-Policy"]
    before = Session.objects.filter(ended_at__isnull=True).count()
    answer = by_password.client.post("/cas/logout/confirmed", {"service": left}, headers={"origin": ORIGIN})
    assert (answer.status_code, answer["Location"]) == (303, left)
    assert Session.objects.filter(ended_at__isnull=True).count() == before - 1
    assert by_password.client.get("/cas/logout", {"service": left})["Location"] == left


def test_a_service_that_asks_for_a_lock_gets_no_password_login(mall, by_password, by_lock):
    relying.register(**registered(require_level="lock"))
    assert query_of(by_password.client.get("/cas/login", {"service": SERVICE})["Location"])["by"] == "lock"
    assert validated(ticket_of(by_lock))[0].tag == f"{CAS}authenticationSuccess"
    other = relying.register(**registered(client_id="jianguan", audience=["regulator"], cas_services=["https://jianguan.example/"]))
    assert by_lock.client.get("/cas/login", {"service": "https://jianguan.example/"}).status_code == 403
    assert other.application.grants.count() == 0


def test_a_ticket_names_nobody_whose_row_somebody_changed(mall, by_lock, lock_world):
    ticket = ticket_of(by_lock)
    Account.objects.filter(pk=lock_world.member.pk).update(username="chief-of-b")
    assert refusal_of(validated(ticket)) == "INVALID_TICKET"
