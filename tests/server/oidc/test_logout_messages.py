"""When a session ends, for whatever reason, each application that it entered hears of it once, by a real receiver's own checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import jwt
import pytest
from django.utils import timezone
from worlds import relying
from worlds.browser import Browser
from worlds.practice import ORIGIN

from calock.server.applications.models import Application
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.grants.ending import end_idle_sessions
from calock.server.outbox.kinds import kind_named
from calock.server.outbox.models import Message
from calock.server.outbox.services import claim, deliver
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions_of_account, end_sessions_of_lock

pytestmark = pytest.mark.django_db

EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Receiver(ThreadingHTTPServer):
    """An application's address for logout messages: keeps the forms that arrive, and answers ``status``."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.forms: list[dict[str, list[str]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ended"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.forms.append(parse_qs(text, strict_parsing=True))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def told(receiver, **changed):
    return relying.register(logout_url=receiver.address, logout_private=True, **changed)


def send_all(kind: str = "oidc.logout") -> list[bool]:
    named = kind_named(kind)
    return [deliver(message, named) for message in claim(named, limit=50)]


def ways() -> dict[str, object]:
    now = timezone.now()

    def mine() -> Session:
        return Session.objects.filter(ended_at__isnull=True, grants__isnull=False).distinct().get()

    return {
        "logout": lambda browser: browser.client.post("/logout/", headers={"origin": ORIGIN}),
        "disabled account": lambda _: end_sessions_of_account(account_id=mine().account_id, reason="account disabled", at=now),
        "revoked lock": lambda _: end_sessions_of_lock(lock_id=mine().lock_id, reason="certificate revoked", at=now),
        "idle": lambda _: end_idle_sessions(at=now + timedelta(minutes=61)),
        "twelve hours": lambda _: end_idle_sessions(at=now + timedelta(hours=12, minutes=1)),
    }


@pytest.mark.parametrize("way", ways())
def test_the_application_is_told_once_however_the_session_ends(receiver, lock, lock_world, way):
    """backchannel-rp-initiated-logout, and what the suite does not ask: every other end of a session."""
    rp, browser = told(receiver), Browser()
    assert browser.log_in(lock).status_code == 200
    rp.enter(browser)
    claims = rp.enter(browser)["claims"]
    ways()[way](browser)
    assert Message.objects.count() == 1, "one for each session and application, however often it entered"
    assert send_all() == [True]
    assert send_all() == []
    (form,) = receiver.forms
    (token,) = form["logout_token"]
    said = rp.verified(token)
    assert jwt.get_unverified_header(token)["typ"] == "logout+jwt"
    assert said["events"] == {EVENT: {}}
    assert (said["sid"], said["sub"], said["iss"]) == (claims["sid"], claims["sub"], ORIGIN)
    assert said["jti"] == str(Message.objects.get().pk)
    assert "nonce" not in said
    assert said["exp"] - said["iat"] <= 120


def test_each_application_knows_the_session_by_another_name(receiver, by_password):
    one, two = told(receiver), told(receiver, client_id="two")
    names = {rp.enter(by_password)["claims"]["sid"] for rp in (one, two, one)}
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    send_all()
    sent = [jwt.decode(form["logout_token"][0], options={"verify_signature": False}) for form in receiver.forms]
    assert {claims["sid"] for claims in sent} == names
    assert {claims["aud"] for claims in sent} == {"caigou", "two"}


def test_a_receiver_that_is_down_is_tried_three_times_in_two_minutes_and_then_given_up(receiver, by_password):
    rp = told(receiver)
    rp.enter(by_password)
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    receiver.status = 503
    for seconds in (10, 60, None):
        assert send_all() == [False]
        row = Message.objects.get()
        if seconds is not None:
            assert timedelta(0) < row.due_at - timezone.now() <= timedelta(seconds=seconds)
            Message.objects.update(due_at=timezone.now())
    assert row.failed_at is not None
    assert AuditEvent.objects.filter(event=Event.MESSAGE_GIVEN_UP).count() == 1
    tokens = [form["logout_token"][0] for form in receiver.forms]
    assert len({rp.verified(token)["jti"] for token in tokens}) == 1, "a receiver tells repetitions by it"


def test_nothing_is_sent_to_an_address_that_somebody_wrote_into_the_row(receiver, by_password):
    rp = relying.register()
    rp.enter(by_password)
    content = {**rp.application.content, "logout_url": receiver.address, "logout_private": True}
    Application.objects.filter(pk=rp.application.pk).update(content=content)
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    assert send_all() in ([False], [])
    assert receiver.forms == []


def test_an_address_inside_is_not_asked_unless_two_operators_said_so(receiver, by_password):
    rp = relying.register(logout_url=receiver.address)
    rp.enter(by_password)
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    assert send_all() == [False]
    assert receiver.forms == []


def test_a_cas_service_is_told_by_its_ticket(receiver, by_password):
    service = "https://maichang.example/app/login"
    relying.register(client_id="maichang", protocols=["cas"], redirect_uris=[], post_logout_redirect_uris=[],
                     cas_services=["https://maichang.example/app/"], logout_url=receiver.address, logout_private=True)  # fmt: skip
    used, unused = (
        by_password.client.get("/cas/login", {"service": service})["Location"].partition("ticket=")[2] for _ in range(2)
    )
    assert (
        "authenticationSuccess"
        in by_password.client.get("/cas/serviceValidate", {"service": service, "ticket": used}).content.decode()
    )
    by_password.client.post("/logout/", headers={"origin": ORIGIN})
    send_all("cas.logout")
    (form,) = receiver.forms
    request = ET.fromstring(form["logoutRequest"][0])
    assert request.tag == "{urn:oasis:names:tc:SAML:2.0:protocol}LogoutRequest"
    assert request.findtext("{urn:oasis:names:tc:SAML:2.0:protocol}SessionIndex") == used != unused
