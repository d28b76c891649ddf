"""The PIN is typed on the page and goes to 127.0.0.1, and nowhere else: no request, no log, no row, no storage holds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from playwright.sync_api import Request, expect

from calock.agent.backends.soft import create_soft_lock
from calock.demo import pki
from calock.demo.people import organisation
from calock.demo.practice import open_practice
from journeys.people import Person

PIN = "Zq0!k3_Pin#7"
SERIAL = "7301409900002299"


def plug_own_lock(person: Person) -> None:
    """A lock whose PIN occurs nowhere by chance."""
    practice = open_practice(person.platform.place.root)
    now = datetime.now(UTC).replace(microsecond=0)
    sample, key = organisation("supplier"), pki.make_key("SM2")
    certificate = practice.families["huren-sm2"].issuing.issue_lock(
        sample.name, key, not_before=now - timedelta(days=1), not_after=now + timedelta(days=300),
        organisation=sample.name, uscc=sample.uscc, lock_id=SERIAL,
    )  # fmt: skip
    create_soft_lock(
        person.platform.place.locks, pin=PIN, key_pkcs8=key.private_pkcs8, certificate_der=certificate, serial=SERIAL, label="PIN"
    )


def said(request: Request) -> str:
    """Everything of a request: address, headers, body."""
    body = request.post_data_buffer or b""
    return f"{request.url}\n{request.all_headers()}\n{body.decode('utf-8', 'replace')}"


def test_nothing_but_the_driver_ever_gets_the_pin(person: Person) -> None:
    plug_own_lock(person)
    requests = person.note_requests()
    frames: list[str] = []
    person.page.on("websocket", lambda socket: socket.on("framesent", lambda payload: frames.append(str(payload))))
    person.enter("cssbjgys02")
    person.bind(SERIAL[-4:], PIN)
    person.expect_bound()
    expect(person.page.locator("[data-bind] [data-pin]")).to_have_value("")
    person.log_out()
    panel = person.ca_login(SERIAL[-4:], PIN[:-1] + "8")
    person.expect_refused("PIN 码错误")
    panel.locator("[data-pin]").fill(PIN)
    panel.locator("[data-ca-submit]").click()
    person.expect_inside()

    forms = (PIN, quote(PIN), quote(PIN, safe=""), PIN.replace("#", "%23"))
    to_driver = [request for request in requests if urlsplit(request.url).port != person.platform.port]
    to_server = [request for request in requests if urlsplit(request.url).port == person.platform.port]
    assert any(PIN in said(request) for request in to_driver), "the recording would not have noticed the PIN"
    assert len(to_server) > 20
    assert {urlsplit(request.url).hostname for request in to_driver} == {"127.0.0.1"}
    for text in [*map(said, to_server), *(request.url for request in to_driver), *frames, person.platform.logs()]:
        assert not any(form in text for form in forms)
    storage = person.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert PIN not in storage
    raw = [form.encode() for form in forms]
    for path in person.platform.place.root.rglob("*"):
        if path.is_file() and path.suffix not in (".zip", ".whl"):
            content = path.read_bytes()
            assert not any(form in content for form in raw), path
