"""The rows B01 to B30 of the attack catalogue, one test or more each; what a browser does with them is in test_hostile_web.py.

The table of rows, defences and tests is docs/threats.md.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from agent.driving import CHALLENGE, ORIGIN, PIN, DriverProcess, Events, make_certificate, make_lock, until
from agent.test_service import verify
from starlette.requests import Request
from wsproto import events as wsevents

from calock.agent import config, peer, replies
from calock.agent.backends.soft import SoftBackend
from calock.agent.backends.softlock import read_soft_lock
from calock.agent.serving import NoPortError, listen
from calock.agent.signing import prepare
from calock.core.certificates import signatures
from calock.core.certificates.certificate import Certificate
from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement
from calock.demo import pki
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
SOURCE = Path(config.__file__).parent


@pytest.fixture
def driver(start, locks: Path) -> DriverProcess:
    make_lock(locks)
    return start(soft_dir=locks)


def rss_kib(driver: DriverProcess) -> int:
    status = Path(f"/proc/{driver.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def http_head(driver: DriverProcess, path: str, **headers: str) -> bytes:
    """Head of a request that is otherwise in order; ``Content_Length`` is the header ``Content-Length``."""
    lines = {"Host": f"127.0.0.1:{driver.port}", "Content-Type": "application/json", "X-Calock": "1", "Connection": "close"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    return "".join([f"POST {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in lines.items()), "\r\n"]).encode()


def raw(driver: DriverProcess, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", driver.port), 30) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            if b"\r\n\r\n" in received and b"connection: close" in received.lower():
                break
        return received


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
    def storm() -> None:
        for _ in range(60):
            driver.request("POST", "/v1/hello", b"x" * 60_000, {"Origin": "https://evil.example"})
            driver.call("/v1/hello", {"x": "y" * 15_000})
            with Events(driver.port, origin="https://evil.example"):
                pass

    storm()
    storm()  # by now every page of it that requests need was touched
    before = rss_kib(driver)
    storm()
    assert rss_kib(driver) - before < 2048


def test_b07_a_slow_body_meets_a_deadline(monkeypatch) -> None:
    monkeypatch.setattr(replies, "BODY_SECONDS", 0.05)

    async def never() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "headers": []}, never)
    with pytest.raises(Refusal) as refused:
        asyncio.run(replies.read_body(request))
    assert refused.value.reason is Reason.REQUEST_MALFORMED


# --- B08, B09, B27: what is signed


@pytest.mark.parametrize("field", ["origin", "Origin", "serverName", "url", "signOrigin"])
def test_b08_a_page_cannot_name_the_origin(shared_driver, field: str) -> None:
    lock = shared_driver.locks()[0]["id"]
    message = {"lock": lock, "challenge": CHALLENGE, "pin": PIN, field: "https://bank.example"}
    assert shared_driver.call("/v1/authenticate", message).reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize("extra", [{"hash": "aa" * 32}, {"data": "x"}, {"csr": "x"}, {"algorithm": "none"}, {"digest": "sha256"}])
def test_b09_there_is_no_field_for_anything_else_to_sign(shared_driver, extra: dict) -> None:
    lock = shared_driver.locks()[0]["id"]
    reply = shared_driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": PIN, **extra})
    assert reply.reason == "REQUEST_MALFORMED"


@pytest.mark.parametrize(
    "challenge", ["", "a" * 43, "a" * 129, "a\nb" * 20, "x" * 43 + "\x00", "挑战" * 30, "<script>" * 8, " " * 64]
)
def test_b09_what_is_no_challenge_is_refused_before_the_pin_is_tried(shared_driver, challenge: str) -> None:
    assert shared_driver.authenticate(challenge=challenge, pin="999999").reason == "CHALLENGE_MALFORMED"
    assert shared_driver.locks()[0]["pin"]["triesLeft"] == 6


@pytest.mark.parametrize("algorithm", ["SM2", "RSA", "EC"])
def test_b09_a_hash_given_as_challenge_is_not_what_gets_signed(algorithm: pki.Algorithm) -> None:
    key = pki.make_key(algorithm)
    certificate = Certificate.parse(make_certificate(key))
    document = bytes(range(32))
    made = prepare(certificate, origin=ORIGIN, challenge=document.hex())
    assert document not in made.message
    assert document not in made.e
    assert made.message == signatures.signed_message(made.algorithm, ORIGIN, document.hex())


# --- B33: what is signed is what was said


def _stated(origin: str = ORIGIN, purpose: str = "bind", account: str = "cssbjgys02") -> Statement:
    return Statement(purpose, "shanxi", origin, "2026-11-29T00:00:00Z", account=account, organisation="测试供应商")


def _challenge(said: Statement) -> str:
    return f"c2.{said.purpose}.t4k2qo.{'r' * 22}.{said.digest}.{'m' * 33}"


WRONG_STATEMENTS = {
    "another account": (_stated(), _stated(account="another").text()),
    "another site": (_stated("https://other.example"), _stated("https://other.example").text()),
    "another purpose": (_stated(), _stated(purpose="login").text()),
    "not canonical": (_stated(), _stated().text().replace(":", ": ", 1)),
    "no statement": (_stated(), "绑定"),
}


@pytest.mark.parametrize("wrong", WRONG_STATEMENTS)
def test_b33_a_statement_that_is_not_the_challenges_is_refused_and_no_pin_tried(shared_driver, wrong: str) -> None:
    said, text = WRONG_STATEMENTS[wrong]
    assert shared_driver.authenticate(challenge=_challenge(said), statement=text, pin="999999").reason == "CHALLENGE_MALFORMED"
    window = shared_driver.open_window(_challenge(said))
    assert window("statement", statement=text).reason == "CHALLENGE_MALFORMED"
    lock = shared_driver.locks()[0]["id"]
    assert window("sign", lock=lock, pin="999999").reason == "SESSION_ENDED"
    assert shared_driver.locks()[0]["pin"]["triesLeft"] == 6


def test_b33_the_window_says_what_is_signed_and_older_pages_need_not_say_it(shared_driver) -> None:
    challenge, text = _challenge(_stated()), _stated().text()
    assert shared_driver.call("/v1/hello").json["takes"] == ["statement"]
    verify(shared_driver.authenticate(challenge=challenge, statement=text).json, challenge=challenge)
    verify(shared_driver.authenticate(challenge=challenge).json, challenge=challenge)
    window = shared_driver.open_window(challenge)
    assert window("statement", statement=text).json == {"text": "为账户 cssbjgys02 绑定此 CA 锁（测试供应商）"}
    assert window("sign", lock=shared_driver.locks()[0]["id"], pin=PIN).status == 200


def test_b27_an_answer_for_one_platform_is_worthless_at_another(shared_driver) -> None:
    answer = shared_driver.authenticate().json
    verify(answer)
    for elsewhere in ("https://www.other.example", ORIGIN + ":444", "null", ""):
        with pytest.raises(Refusal):
            verify(answer, origin=elsewhere)


# --- B10, B12, B13: an allowed page gone bad


def test_b10_a_thousand_signatures_are_not_given(start, locks: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    began = time.monotonic()
    reasons = [driver.authenticate(lock).reason for _ in range(1000)]
    minutes = (time.monotonic() - began) / 60
    assert reasons.count("") <= 10 + 20 * minutes + 1
    assert reasons.count("TOO_MANY_ATTEMPTS") > 900


def test_b12_guessing_ends_after_two_wrong_pins(start, locks: Path) -> None:
    made = make_lock(locks)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    reasons = [driver.authenticate(lock, pin=f"{number:06}").reason for number in range(9)]
    assert reasons == ["PIN_WRONG"] * 2 + ["PIN_WINDOW_ONLY"] * 7
    assert read_soft_lock(made.path).tries_left == 4


def test_b31_all_allowed_pages_together_never_reach_the_last_two_tries(start, locks: Path) -> None:
    made = make_lock(locks)
    origins = [f"https://site{number}.gov.example" for number in range(4)]
    driver = start(soft_dir=locks, origins=origins)
    for origin in origins:
        lock = driver.call("/v1/locks", origin=origin).json["locks"][0]["id"]
        for number in range(3):
            message = {"lock": lock, "challenge": CHALLENGE, "pin": f"{number:06}", "useLastTry": True}
            assert driver.call("/v1/authenticate", message, origin=origin).reason in ("PIN_WRONG", "PIN_WINDOW_ONLY")
    assert read_soft_lock(made.path).tries_left == 2


def test_b13_no_pin_is_kept(driver) -> None:
    assert driver.authenticate().status == 200
    assert driver.authenticate(pin="").reason == "PIN_MISSING"
    assert driver.authenticate(pin="543210").reason == "PIN_WRONG"


# --- B11: the PIN is nowhere


def test_b11_logs_and_refusals_hold_no_pin_challenge_token_or_name(start, locks: Path) -> None:
    pin = "8431-secret"
    made = make_lock(locks, pin=pin)
    driver = start(soft_dir=locks)
    lock = driver.locks()[0]["id"]
    signature = driver.authenticate(lock, pin=pin).json["token"]["signature"]
    page_headers = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN}
    refusals = [
        driver.authenticate(lock, pin=pin + "x"),
        driver.authenticate(lock, pin=pin * 4),
        driver.call("/v1/authenticate", {"lock": lock, "challenge": CHALLENGE, "pin": pin, "extra": pin}),
        driver.call("/v1/authenticate", {"lock": [pin], "challenge": CHALLENGE, "pin": pin}),
        driver.request("POST", "/v1/authenticate", f'{{"pin": "{pin}" "'.encode(), page_headers),
        driver.call("/v1/pin/change", {"lock": lock, "oldPin": pin + "y", "newPin": pin + "z"}),
        driver.call(f"/v1/{pin}", {"pin": pin}),
    ]  # fmt: skip
    assert all(reply.status >= 400 for reply in refusals)
    driver.close()
    said = driver.log + "".join(reply.body.decode() for reply in refusals)
    for secret in (pin, CHALLENGE, lock, made.serial, "张三", "太原", signature, base64.b64encode(made.certificate).decode()):
        assert secret not in said
    assert "Traceback" not in driver.log


# --- B14: another user of this computer


def _as_nobody(driver: DriverProcess) -> bytes:
    """Ask hello from a process of another user."""
    near, far = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(near)
        os.setgid(65534)
        os.setuid(65534)
        try:
            answer = raw(driver, http_head(driver, "/v1/hello", Origin=ORIGIN, Content_Length="2") + b"{}")
            os.write(far, answer[:1000])
        finally:
            os._exit(0)
    os.close(far)
    os.waitpid(child, 0)
    with os.fdopen(near, "rb") as file:
        return file.read()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="becoming another user takes root")
def test_b14_another_user_is_refused_like_any_stranger(driver) -> None:
    answer = _as_nobody(driver)
    assert answer.startswith(b"HTTP/1.1 403")
    assert b"calock" not in answer
    assert driver.call("/v1/hello").status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is Linux's")
def test_b14_the_owner_of_a_connection_is_read_from_the_kernel() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.create_connection(server.getsockname()) as client:
            assert peer.owner_of(client.getsockname(), server.getsockname()) == os.getuid()
            assert peer.is_same_user(client.getsockname(), server.getsockname())
        assert not peer.is_same_user(("127.0.0.1", 1), server.getsockname())
        assert not peer.is_same_user(None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's socket table is Linux's")
def test_b14_also_through_an_ipv6_socket() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with socket.socket(socket.AF_INET6) as client:
            client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
            near = ("127.0.0.1", client.getsockname()[1])
            assert peer.owner_of(near, server.getsockname()) == os.getuid()


# --- B15, B16, B17, B21, B22, B24, B30: the program among other programs


def test_b15_a_squatter_is_passed_by_and_cannot_be_joined() -> None:
    with socket.socket() as squatter, socket.socket() as other:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
        other.close()
        taken = squatter.getsockname()[1]
        mine = listen((taken, free))
        assert mine.getsockname() == ("127.0.0.1", free)
        with pytest.raises(NoPortError):
            listen((taken, free))
        mine.close()


def test_b15_what_a_squatter_signs_is_refused() -> None:
    """A program in the driver's place has no lock's key: the server checks the answer and believes nothing else of it."""
    certificate = Certificate.parse(make_certificate(pki.make_key("SM2")))
    message = signatures.signed_message("SM2", ORIGIN, CHALLENGE)
    forged = bytes(range(1, 65))
    with pytest.raises(Refusal):
        signatures.verify(certificate.spki_der, "SM2", message, forged)


def test_b16_no_key_is_shipped_and_none_is_needed(shared_driver) -> None:
    shipped = [path for path in SOURCE.rglob("*") if path.suffix in (".pem", ".key", ".p12", ".pfx", ".crt", ".cer", ".der")]
    assert shipped == []
    assert not any(b"PRIVATE KEY-----" in path.read_bytes() for path in SOURCE.rglob("*.*") if path.is_file())
    assert shared_driver.address.startswith("http://127.0.0.1:")


def test_b17_b30_running_writes_nothing_but_its_own_state(start, locks: Path, tmp_path: Path) -> None:
    make_lock(locks)
    home = tmp_path / "clean-home"
    home.mkdir()
    driver = start(
        soft_dir=locks, environment={"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    driver.authenticate()
    driver.call("/v1/pin/change", {"lock": driver.locks()[0]["id"], "oldPin": PIN, "newPin": "777777"})
    driver.close()
    assert [path for path in home.rglob("*") if path.is_file()] == []
    kept = {path.name: path.stat().st_mode & 0o077 for path in driver.state.rglob("*")}
    assert kept == {"agent.lock": 0, "agent.log": 0, "driver.key": 0}  # closed to others


def test_b21_the_notes_of_the_driver_are_for_its_user_only(driver) -> None:
    note = driver.state / "agent.json"
    assert note.stat().st_mode & 0o077 == 0
    assert driver.note.control not in driver.log


def test_b22_a_stopped_driver_leaves_no_listener_and_no_process(driver) -> None:
    children = Path(f"/proc/{driver.process.pid}/task/{driver.process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    assert driver.close() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", driver.port), 5)
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers), "the workers to end")
    assert not (driver.state / "agent.json").exists()


def test_b24_it_listens_on_no_address_but_loopback(driver) -> None:
    for address in ("127.0.0.2", "::1"):
        with pytest.raises(OSError):
            socket.create_connection((address, driver.port), 2)
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]] if sys.platform == "linux" else []
    mine = [fields[1] for fields in listening if fields[3] == "0A" and fields[1].endswith(f":{driver.port:04X}")]
    assert mine in ([f"0100007F:{driver.port:04X}"], [])


def test_one_driver_per_user(driver) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "calock.agent", "--state-dir", str(driver.state), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr


# --- B18, B19: swaps and lists


def test_b18_a_lock_swapped_under_the_same_name_is_noticed(locks: Path) -> None:
    shown = make_lock(locks, "EC")
    backend = SoftBackend(locks)
    [record] = backend.list_locks().locks
    make_lock(locks, "EC")
    signing_input = prepare(Certificate.parse(shown.certificate), origin=ORIGIN, challenge=CHALLENGE)
    with pytest.raises(Refusal) as refused:
        backend.sign(
            record.key, certificate=record.certificate, pin=bytearray(PIN.encode()), signing_input=signing_input, consent="window"
        )
    assert refused.value.reason is Reason.LOCK_CHANGED
    assert backend.list_locks().locks[0].pin.tries_left == 6


def test_b18_and_through_the_driver(driver, locks: Path) -> None:
    lock = driver.locks()[0]["id"]
    make_lock(locks, "EC")
    reply = driver.authenticate(lock)
    assert reply.reason in ("LOCK_CHANGED", "LOCK_REMOVED")  # which one depends on whether the driver has looked again yet


def test_b18_one_operation_at_a_time(start, locks: Path) -> None:
    make_lock(locks)
    (locks / "fault").write_text("slow in sign")
    driver = start(soft_dir=locks, faulty=True)
    lock = driver.locks()[0]["id"]
    replies_: list = []
    threads = [threading.Thread(target=lambda: replies_.append(driver.authenticate(lock).reason)) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(replies_) == 7, "all but one to be refused")
    (locks / "go").touch()
    for thread in threads:
        thread.join()
    assert sorted(replies_) == [""] + ["DRIVER_BUSY"] * 7


def test_b19_two_platforms_cannot_follow_one_lock_by_its_handle(start, locks: Path) -> None:
    make_lock(locks)
    other = "https://www.zcy.example"
    driver = start(soft_dir=locks, origins=[ORIGIN, other])
    [mine], [theirs] = driver.locks(), driver.call("/v1/locks", origin=other).json["locks"]
    assert mine["id"] != theirs["id"]
    assert mine["device"] != theirs["device"]
    stolen = driver.call("/v1/authenticate", {"lock": theirs["id"], "challenge": CHALLENGE, "pin": PIN})
    assert stolen.reason == "LOCK_UNKNOWN"


def test_b19_certificate_and_serial_come_only_with_an_answer(driver) -> None:
    listed = driver.call("/v1/locks").body
    assert b"MII" not in listed
    assert b"3301000045102205" not in listed
    refused = driver.authenticate(pin="999999").body
    assert b"3301000045102205" not in refused


# --- B23, B26: what a lock may hold


@pytest.mark.parametrize(
    "certificate",
    [
        b"\x30\x82\xff\xff" + bytes(100),
        bytes(60_000)[: 16 * 1024 + 1],
        b"\x30\x80" * 2000,
        b"not a certificate",
        b"\x30\x03\x02\x01\x01",
    ],
)
def test_b26_an_unreadable_certificate_spoils_nothing_else(start, locks: Path, certificate: bytes) -> None:
    make_lock(locks, serial="1")
    make_lock(locks, serial="2", key=pki.make_key("SM2"), certificate=certificate)
    driver = start(soft_dir=locks)
    reply = driver.call("/v1/locks").json
    assert len(reply["locks"]) == 1
    assert reply["problems"][0]["reason"] in ("CERTIFICATE_UNPARSABLE", "CERTIFICATE_TOO_LARGE", "CERTIFICATE_VERSION")
    assert driver.authenticate().status == 200


def test_b26_names_are_made_harmless_to_show(start, locks: Path) -> None:
    name = "甲\u202e\u0007\x1b[31m<img src=x>\n乙"
    make_lock(locks, issue={"name": name})
    [lock] = start(soft_dir=locks).locks()
    assert not any(ord(character) < 32 or character in "\u202e\u2066" for character in lock["name"])
    assert lock["name"].endswith("乙")


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
