"""What pages and strangers send: rows B01 to B07 of the attack catalogue, B28 and B29.

What a browser does with them is in test_hostile_web.py. The table of rows, defences and tests is docs/threats.md.
"""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, Events, http_head, make_lock, raw
from agent.test_service import verify
from starlette.requests import Request
from wsproto import events as wsevents

from calock.agent import config, replies
from calock.core.refusals import Reason, Refusal
from calock.wire import driver as wire

PATHS = (
    "/v1/hello",
    "/v1/locks",
    "/v1/authenticate",
    "/v1/diagnosis",
    "/v1/events",
    "/v1/nothing",
    "/",
    "/ui/status.js",
    "/status/view",
    "/x",
)


def rss_kib(driver: DriverProcess) -> int:
    status = Path(f"/proc/{driver.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


# --- B01: strangers learn nothing


def test_b01_a_stranger_gets_the_same_empty_answer_everywhere(shared_driver) -> None:
    seen = set()
    for path in PATHS:
        for method in ("GET", "POST", "OPTIONS", "PUT", "HEAD"):
            reply = shared_driver.request(method, path, b"{}" if method == "POST" else None, {"Origin": "https://evil.example"})
            seen.add((reply.status, tuple(sorted(reply.headers.items())), reply.body))
    assert seen == {(403, (("connection", "close"), ("content-length", "0")), b"")}


def test_b01_refused_before_the_body_is_read(shared_driver) -> None:
    head = http_head(shared_driver, "/v1/authenticate", Origin="https://evil.example", Content_Length="999999999")
    assert raw(shared_driver, head).startswith(b"HTTP/1.1 403")


# --- B02: exact origins

BAD_ORIGINS = (
    "null", "", "https://www.gov.example.evil.com", "https://www.gov.example:444", "https://www.gov.example:443", "http://www.gov.example",
    "https://gov.example", "https://www.gov.example/", "https://WWW.gov.example", "https://www.gоv.example".encode().decode("latin-1"),
    "https://xn--www-gov.example", "https://www.gov.example.", "https://user@www.gov.example", "https://www.gov.example evil", "*",
    "file://", "chrome-extension://abcdefghijklmnop", "https://www.gov.example, https://evil.example",
)  # fmt: skip


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_b02_an_origin_is_allowed_exactly_or_not_at_all(shared_driver, origin: str) -> None:
    reply = shared_driver.call("/v1/hello", Origin=origin)
    assert (reply.status, reply.body) == (403, b"")
    assert "access-control-allow-origin" not in reply.headers


def test_b02_no_origin_and_two_origins(shared_driver) -> None:
    once = http_head(shared_driver, "/v1/hello", Origin=ORIGIN, Content_Length="2")
    origin = f"Origin: {ORIGIN}\r\n".encode()
    assert raw(shared_driver, once + b"{}").startswith(b"HTTP/1.1 200")
    assert raw(shared_driver, once.replace(origin, b"") + b"{}").startswith(b"HTTP/1.1 403")
    assert raw(shared_driver, once.replace(origin, origin * 2) + b"{}").startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "origin",
    ["http://www.gov.example", "https://www.gov.example/", "https://*.gov.example", "https://WWW.gov.example", "https://www.gov.example:443",
     "www.gov.example", "null", "*", "https://政府.example", "https://", "ftp://x.example", "https://a.example/path", "http://10.0.0.1"],
)  # fmt: skip
def test_b02_only_exact_origins_can_be_configured(origin: str) -> None:
    with pytest.raises(config.ConfigError):
        config.check_origin(origin)


# --- B03: Host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.:{port}",
        "127.0.0.2:{port}",
        "[::1]:{port}",
        "",
        "0:{port}",
    ],
)
def test_b03_dns_rebinding_meets_421_and_nothing_else(shared_driver, host: str) -> None:
    reply = shared_driver.call("/v1/hello", Host=host.format(port=shared_driver.port))
    assert (reply.status, reply.body) == (421, b"")
    assert "access-control-allow-origin" not in reply.headers


def test_b03_both_names_of_this_computer_work(shared_driver) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert shared_driver.call("/v1/hello", Host=f"{host}:{shared_driver.port}").status == 200


# --- B04: WebSocket has no CORS


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None, "http://www.gov.example"])
def test_b04_a_foreign_page_gets_no_events(shared_driver, origin: str | None) -> None:
    with Events(shared_driver.port, origin=origin) as events:
        assert (events.accepted, events.status) == (False, 403)


def test_b04_nor_through_another_host_name(shared_driver) -> None:
    with Events(shared_driver.port, host="evil.example") as events:
        assert not events.accepted


def test_b04_the_subprotocol_is_asked_for(shared_driver) -> None:
    with Events(shared_driver.port, subprotocol=None) as events:
        assert (events.accepted, events.status) == (False, 403)


# --- B05: simple requests


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/json2"]
)
def test_b05_what_a_plain_form_can_send_is_no_request(shared_driver, kind: str) -> None:
    lock = shared_driver.locks()[0]["id"]
    body = json.dumps({"lock": lock, "challenge": CHALLENGE, "pin": PIN}).encode()
    reply = shared_driver.request("POST", "/v1/authenticate", body, {"Origin": ORIGIN, "Content-Type": kind, "X-Calock": "1"})
    assert (reply.status, reply.reason) == (400, "REQUEST_MALFORMED")


def test_b05_without_our_header_it_is_no_request(shared_driver) -> None:
    reply = shared_driver.request("POST", "/v1/hello", b"{}", {"Origin": ORIGIN, "Content-Type": "application/json"})
    assert (reply.status, reply.reason) == (400, "REQUEST_MALFORMED")


def test_b05_get_with_parameters_is_no_request(shared_driver) -> None:
    reply = shared_driver.request("GET", f"/v1/authenticate?pin={PIN}&challenge={CHALLENGE}", None, {"Origin": ORIGIN})
    assert reply.status == 400


def test_b05_only_allowed_pages_pass_the_preflight(shared_driver) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-calock",
        "Access-Control-Request-Private-Network": "true",
    }
    good = shared_driver.request("OPTIONS", "/v1/hello", None, {"Origin": ORIGIN, **asked})
    assert (good.status, good.headers["access-control-allow-origin"], good.headers["vary"]) == (204, ORIGIN, "Origin")
    assert good.headers["access-control-allow-private-network"] == "true"
    bad = shared_driver.request("OPTIONS", "/v1/hello", None, {"Origin": "https://evil.example", **asked})
    assert (bad.status, bad.body) == (403, b"")


# --- B06: no shell, no path, no module


@pytest.mark.parametrize(
    "extra", [{"pkcs11_module": "/tmp/evil.so"}, {"module": "evil.dll"}, {"command": "id"}, {"path": "/etc/passwd"}]
)
def test_b06_no_message_names_a_module_or_a_path(shared_driver, extra: dict) -> None:
    lock = shared_driver.locks()[0]["id"]
    reply = shared_driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": PIN, **extra})
    assert (reply.status, reply.reason) == (400, "REQUEST_MALFORMED")


@pytest.mark.parametrize("lock", ["../../../etc/passwd", "3301000045102205.lock/0", "; touch /tmp/x", "\x00", "x" * 4000])
def test_b06_a_handle_is_looked_up_never_opened(shared_driver, lock: str) -> None:
    shared_driver.locks()
    assert shared_driver.authenticate(lock).reason == "LOCK_UNKNOWN"


@pytest.mark.parametrize("path", ["/ui/../main.py", "/ui/..%2fmain.py", "/ui/%2e%2e/main.py", "/ui/config.py", "/ui//etc/passwd"])
def test_b06_static_files_are_a_fixed_set(shared_driver, path: str) -> None:
    reply = shared_driver.request("GET", path, None, {"Sec-Fetch-Site": "same-origin"})
    assert reply.status in (403, 404)
    assert b"import" not in reply.body


# --- B07: sizes


def test_b07_large_bodies_are_refused_unread(shared_driver) -> None:
    assert shared_driver.call("/v1/hello", {"x": "y" * wire.MAX_BODY}).reason == "REQUEST_TOO_LARGE"
    huge = http_head(shared_driver, "/v1/hello", Origin=ORIGIN, Content_Length="1073741824")
    assert b"413" in raw(shared_driver, huge)[:20]
    head = http_head(shared_driver, "/v1/hello", Origin=ORIGIN, Transfer_Encoding="chunked")
    chunks = b"".join(b"1000\r\n" + b" " * 0x1000 + b"\r\n" for _ in range(8))
    assert b"413" in raw(shared_driver, head + chunks)[:20]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[" * 16000, b'{"a":' * 3000, b"\xff\xfe", b'{"lock":1e999999}', b'{"lock":' + b"9" * 9000 + b"}",
        b"null", b"[]", b'"x"', b'{"lock":"a","lock":"b"}', b'{"lock":"\\ud800","challenge":"x","pin":"y"}', b"{}{}",
        b'{"lock":"a","challenge":null,"pin":1}',
    ],
)  # fmt: skip
def test_b07_json_that_is_none_is_refused(shared_driver, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN}
    reply = shared_driver.request("POST", "/v1/authenticate", body, headers)
    assert (reply.status, reply.reason) == (400, "REQUEST_MALFORMED")


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\xff" + struct.pack(">Q", 2**30) + b"mask" + bytes(5000),
        b"\x81\x85mask" + b"\xff" * 5,
        b"\x81\x05hello",
        b"\x8f\x80mask",
        b"\x01\x80mask" * 50,
        b"\x81\x80mask" * 1000,
    ],
)
def test_b07_a_page_that_speaks_on_the_event_socket_is_cut_off(shared_driver, frame: bytes) -> None:
    before = rss_kib(shared_driver)
    with Events(shared_driver.port) as events:
        events.next()
        events.send_raw(frame)
        assert events.wait_closed() in (1002, 1006, 1007, 1008, 1009)
    assert rss_kib(shared_driver) - before < 8192
    assert shared_driver.call("/v1/hello").status == 200


def test_b07_memory_stays_flat(driver) -> None:
    """What is kept of requests grows with every storm: 60 bodies are 3.6 MB. Code that is used for the first time grows once."""

    def grown_by_a_storm() -> int:
        before = rss_kib(driver)
        for _ in range(60):
            driver.request("POST", "/v1/hello", b"x" * 60_000, {"Origin": "https://evil.example"})
            driver.call("/v1/hello", {"x": "y" * 15_000})
            with Events(driver.port, origin="https://evil.example"):
                pass
        return rss_kib(driver) - before

    assert any(grown_by_a_storm() < 1024 for _ in range(8))


def test_b07_a_slow_body_meets_a_deadline(monkeypatch) -> None:
    monkeypatch.setattr(replies, "BODY_SECONDS", 0.05)

    async def never() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(Refusal) as refused:
        asyncio.run(replies.read_body(request))
    assert refused.value.reason is Reason.REQUEST_MALFORMED


# --- B25, B28, B29


@pytest.mark.parametrize("days", [(-800, -400), (400, 800)])
def test_b25_the_computers_clock_refuses_nobody(start, locks: Path, days: tuple[int, int]) -> None:
    make_lock(locks, issue={"days": days})
    driver = start(soft_dir=locks)
    verify(driver.authenticate().json)


def test_b28_the_status_page_acts_on_no_parameter(shared_driver) -> None:
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
    plain = shared_driver.request("GET", "/", None, navigation)
    assert plain.status == 200
    for path in ("/?open=1", "/?pin=012345&lock=x", "/?code=x#y"):
        assert shared_driver.request("GET", path, None, navigation).body == plain.body
    assert "frame-ancestors 'none'" in plain.headers["content-security-policy"]
    elsewhere = {**navigation, "Sec-Fetch-Site": "cross-site"}
    assert shared_driver.request("GET", "/", None, elsewhere).status == 403


def test_b29_signing_before_listing_is_refused(shared_driver) -> None:
    assert shared_driver.authenticate("WnSDqRCakeAYG6O_ALVm4Fbj").reason == "LOCK_UNKNOWN"


def test_b29_a_page_has_nothing_to_say_on_the_event_socket(shared_driver) -> None:
    with Events(shared_driver.port) as events:
        events.next()
        events.send(wsevents.TextMessage(data='{"sign":"x"}'))
        assert events.wait_closed() == 1008
