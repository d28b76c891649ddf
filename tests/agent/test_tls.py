"""The optional https on loopback: whose key it is, what its certificate may do, and that the same guards stand there."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

import httpx
import pytest
from agent.chromium import chromium, chromium_path
from agent.driving import LONG, ORIGIN, DriverProcess, make_lock, until
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from playwright.sync_api import Browser, Page, Route
from wsproto import ConnectionType, WSConnection
from wsproto import events as wsevents

import calock.server
from calock.agent.config import Config, load
from calock.agent.instance import RunningInstance
from calock.agent.status import ask_code
from calock.agent.tls import LIFE, RENEW, TlsIdentity
from calock.wire import driver as wire

TLS = ("--tls", "--tls-port", "0")
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15"
SCRIPTS = Path(calock.server.__file__).parent / "portal/static/portal/js"

needs_chromium = pytest.mark.skipif(not chromium_path(), reason="Chromium is not installed")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DriverProcess]:
    """A driver with https and one lock."""
    directory = tmp_path_factory.mktemp("secure")
    make_lock(directory / "locks")
    with DriverProcess(directory, options=TLS) as driver:
        yield driver


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--disable-features=LocalNetworkAccessChecks") as found:
        yield found


def certificate_of(driver: DriverProcess) -> x509.Certificate:
    return x509.load_pem_x509_certificate((driver.state / "tls.pem").read_bytes())


def trusting(driver: DriverProcess) -> ssl.SSLContext:
    """A client that trusts exactly this driver's certificate, as a user's exception does, and still checks the name."""
    return ssl.create_default_context(cafile=str(driver.state / "tls.pem"))


def ask(driver: DriverProcess, path: str, method: str = "POST", **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/json", "X-Calock": "1", "Origin": ORIGIN, **headers}
    with httpx.Client(verify=trusting(driver), timeout=LONG, trust_env=False) as client:
        return client.request(method, f"https://127.0.0.1:{driver.note.tls_port}{path}", content=b"{}", headers=sent)


# --- whether it is there


def test_it_is_off_unless_asked_for(shared_driver: DriverProcess) -> None:
    assert Config().tls is False
    assert shared_driver.note.tls_port == 0
    assert not (shared_driver.state / "tls.pem").exists()
    with socket.create_connection(("127.0.0.1", shared_driver.port), LONG) as plain, pytest.raises((ssl.SSLError, OSError)):
        ssl._create_unverified_context().wrap_socket(plain)
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in listening if line[3] == "0A"}
    mine = {str(path.readlink()) for path in Path(f"/proc/{shared_driver.process.pid}/fd").iterdir()}
    assert len(inodes & {link[8:-1] for link in mine if link.startswith("socket:")}) == 1


def test_it_can_be_configured(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text("tls = true\ntls_port = 0\n")
    config = load(file)
    assert (config.tls, config.tls_port) == (True, 0)


def test_its_ports_are_not_those_of_plain_http() -> None:
    assert len(wire.TLS_PORTS) == 8
    assert not set(wire.TLS_PORTS) & set(wire.PORTS)


def test_a_taken_port_costs_nobody_the_plain_way(start, locks: Path) -> None:
    make_lock(locks)
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        driver = start(soft_dir=locks, options=["--tls", "--tls-port", str(squatter.getsockname()[1])])
        assert driver.note.tls_port == 0
        assert driver.call("/v1/hello").status == 200
        assert "no https" in driver.log


# --- the certificate


def test_the_certificate_is_for_this_computer_alone_and_no_ca(secure: DriverProcess) -> None:
    certificate = certificate_of(secure)
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("127.0.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert len(names) == 2
    basic = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, False, False)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.public_key().curve.name == "secp256r1"
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc <= timedelta(days=397)
    certificate.verify_directly_issued_by(certificate)


def test_the_key_is_for_its_user_only(secure: DriverProcess) -> None:
    file = secure.state / "tls.pem"
    assert file.stat().st_mode & 0o7777 == 0o600
    assert b"PRIVATE KEY" in file.read_bytes()
    assert not [path.name for path in secure.state.iterdir() if path.stat().st_mode & 0o077]


def test_no_two_users_have_the_same_key(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    made = [TlsIdentity(folder) for folder in folders]
    assert made[0].fingerprint != made[1].fingerprint
    keys = [load_pem_private_key(identity.path.read_bytes(), None) for identity in made]
    assert keys[0] != keys[1]
    assert len({identity.certificate.public_key().public_numbers() for identity in made}) == 2
    assert len({identity.certificate.serial_number for identity in made}) == 2


def test_it_stays_until_a_month_before_its_end(tmp_path: Path) -> None:
    first = TlsIdentity(tmp_path, clock=lambda: NOW)
    end = first.certificate.not_valid_after_utc
    assert end == NOW - timedelta(days=1) + LIFE
    assert TlsIdentity(tmp_path, clock=lambda: end - RENEW - timedelta(seconds=1)).fingerprint == first.fingerprint
    later = TlsIdentity(tmp_path, clock=lambda: end - RENEW)
    assert later.fingerprint != first.fingerprint
    assert later.certificate.public_key() != first.certificate.public_key()


def test_a_driver_that_runs_for_months_serves_the_new_one(tmp_path: Path) -> None:
    now = NOW
    identity = TlsIdentity(tmp_path, clock=lambda: now)
    old = identity.certificate
    assert not identity.renew()
    now = old.not_valid_after_utc - timedelta(days=29)
    assert identity.renew()
    assert presented(identity.context) == identity.certificate != old
    assert not identity.renew()


def presented(context: ssl.SSLContext) -> x509.Certificate:
    """Certificate that a server with this context shows, without a network."""
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(client_in, client_out)
    server = context.wrap_bio(client_out, client_in, server_side=True)
    for side in (client, server, client, server):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    der = client.getpeercert(binary_form=True)
    assert der
    return x509.load_der_x509_certificate(der)


@pytest.mark.parametrize("damage", ["cut", "garbage", "other key", "open to others", "from the future", "a link"])
def test_a_file_that_cannot_be_relied_on_is_made_anew(tmp_path: Path, damage: str) -> None:
    first = TlsIdentity(tmp_path, clock=lambda: NOW)
    file, text = first.path, first.path.read_bytes()
    clock = NOW
    if damage == "cut":
        file.write_bytes(text[: len(text) // 2])
    elif damage == "garbage":
        file.write_bytes(b"\x00" * 100)
    elif damage == "other key":
        (tmp_path / "other").mkdir()
        other = TlsIdentity(tmp_path / "other", clock=lambda: NOW).path.read_bytes()
        begin = b"-----BEGIN CERTIFICATE"
        file.write_bytes(other[: other.index(begin)] + text[text.index(begin) :])
    elif damage == "open to others":
        file.chmod(0o644)
    elif damage == "a link":
        file.rename(tmp_path / "elsewhere.pem")
        file.symlink_to(tmp_path / "elsewhere.pem")
    else:
        clock = NOW - timedelta(days=400)
    again = TlsIdentity(tmp_path, clock=lambda: clock)
    assert again.fingerprint != first.fingerprint
    assert file.stat().st_mode & 0o7777 == 0o600
    assert not file.is_symlink()
    assert presented(again.context) == again.certificate


def test_it_stays_the_same_over_a_restart(start, locks: Path, tmp_path: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks, options=TLS)
    before = certificate_of(driver)
    driver.close()
    again = DriverProcess(driver.state.parent, soft_dir=locks, options=TLS)
    try:
        assert certificate_of(again) == before
        assert ask(again, "/v1/hello").status_code == 200
    finally:
        again.close()


# --- who may come in


def test_the_same_calls_work(secure: DriverProcess) -> None:
    assert ask(secure, "/v1/hello").json()["driver"] == "calock"
    assert len(ask(secure, "/v1/locks").json()["locks"]) == 1
    assert ask(secure, "/v1/hello").headers["access-control-allow-origin"] == ORIGIN


def test_old_tls_is_refused(secure: DriverProcess, tmp_path: Path) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    offered, answered = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):  # this client does offer TLS 1.1
        old.wrap_bio(answered, offered).do_handshake()
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        TlsIdentity(tmp_path).context.wrap_bio(offered, answered, server_side=True).do_handshake()
    with socket.create_connection(("127.0.0.1", secure.note.tls_port), LONG) as raw, pytest.raises(OSError):
        old.wrap_socket(raw)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(secure)
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", secure.note.tls_port), LONG) as raw:
            assert context.wrap_socket(raw, server_hostname="127.0.0.1").version() == version.name.replace("_", ".")


def test_plain_http_is_not_spoken_there(secure: DriverProcess) -> None:
    with socket.create_connection(("127.0.0.1", secure.note.tls_port), LONG) as plain:
        plain.sendall(f"POST /v1/hello HTTP/1.1\r\nHost: 127.0.0.1:{secure.note.tls_port}\r\nOrigin: {ORIGIN}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in plain.recv(4096)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://www.gov.example.evil", "https://127.0.0.1:1"])
@pytest.mark.parametrize("path", ["/v1/hello", "/v1/locks", "/v1/authenticate", "/", "/certificate", "/status/view"])
def test_a_foreign_origin_gets_the_same_empty_answer(secure: DriverProcess, origin: str, path: str) -> None:
    reply = ask(secure, path, Origin=origin)
    assert (reply.status_code, reply.content) == (403, b"")
    assert not {"server", "access-control-allow-origin"} & set(reply.headers)


def test_only_the_exact_host_and_port_are_answered(secure: DriverProcess) -> None:
    for host in ("evil.example", f"evil.example:{secure.note.tls_port}", "127.0.0.1", f"127.0.0.1:{secure.port}", "localhost"):
        reply = ask(secure, "/v1/hello", Host=host)
        assert (reply.status_code, reply.content) == (421, b""), host
    assert ask(secure, "/v1/hello", Host=f"localhost:{secure.note.tls_port}").status_code == 200
    crossed = secure.call("/v1/hello", Host=f"127.0.0.1:{secure.note.tls_port}")  # and not the other way round
    assert (crossed.status, crossed.body) == (421, b"")


def test_the_drivers_own_pages_are_those_of_the_same_scheme(secure: DriverProcess) -> None:
    port = secure.note.tls_port
    crossed = ask(secure, "/status/session", Origin=f"http://127.0.0.1:{port}")
    assert (crossed.status_code, crossed.content) == (403, b"")
    own = ask(secure, "/status/session", Origin=f"https://127.0.0.1:{port}")
    assert own.status_code == 400  # let in, and told that {} is no code


def test_a_page_elsewhere_cannot_open_the_certificate_page(secure: DriverProcess) -> None:
    navigation = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for site, status in (("same-origin", 200), ("cross-site", 403), ("none", 403), ("same-site", 403)):
        reply = secure.request("GET", "/certificate", headers={**navigation, "Sec-Fetch-Site": site})
        assert reply.status == status, site


def test_without_https_there_is_no_certificate_page(shared_driver: DriverProcess) -> None:
    headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "same-origin"}
    assert shared_driver.request("GET", "/certificate", headers=headers).status == 404


class SecureEvents:
    """``/v1/events`` over TLS."""

    def __init__(self, driver: DriverProcess, origin: str) -> None:
        port = driver.note.tls_port
        raw = socket.create_connection(("127.0.0.1", port), LONG)
        self.socket = trusting(driver).wrap_socket(raw, server_hostname="127.0.0.1")
        self.ws = WSConnection(ConnectionType.CLIENT)
        opening = wsevents.Request(
            host=f"127.0.0.1:{port}",
            target=wire.EVENTS_PATH,
            extra_headers=[(b"Origin", origin.encode())],
            subprotocols=[wire.EVENTS_SUBPROTOCOL],
        )
        self.socket.sendall(self.ws.send(opening))

    def first(self, *kinds: type[wsevents.Event]) -> wsevents.Event:
        while True:
            self.ws.receive_data(self.socket.recv(65536) or None)
            for event in self.ws.events():
                if isinstance(event, kinds):
                    return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_events_come_over_tls_to_allowed_pages_only(secure: DriverProcess) -> None:
    with SecureEvents(secure, ORIGIN) as events:
        text = events.first(wsevents.TextMessage)
        assert isinstance(text, wsevents.TextMessage)
        assert json.loads(text.data)["event"] == "locks"
    with SecureEvents(secure, "https://evil.example") as events:
        rejected = events.first(wsevents.RejectConnection, wsevents.AcceptConnection)
        assert isinstance(rejected, wsevents.RejectConnection)
        assert rejected.status_code == 403


def test_the_driver_ends_with_an_open_tls_connection(start, locks: Path) -> None:
    make_lock(locks)
    driver = start(soft_dir=locks, options=TLS)
    with SecureEvents(driver, ORIGIN) as events:
        events.first(wsevents.TextMessage)
        assert driver.close() == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", driver.note.tls_port), LONG)


# --- a real browser


def platform(browser: Browser, note: RunningInstance, *, user_agent: str, trusted: bool, plain: bool = False) -> Page:
    """A page of ORIGIN with the portal's own driver.js, in a browser that says it is another one and blocks what that would."""
    data = {
        "protocol": wire.PROTOCOL, "minVersion": "0.0.0", "ports": [note.port], "tlsPorts": [note.tls_port],
        "refusals": {"DRIVER_FAILED": {"message": "", "plain": "", "action": {}}}, "words": {},
        "limits": {"list": wire.LIST_LIMIT * 1000, "operation": wire.OPERATION_LIMIT * 1000, "reader": wire.READER_LIMIT * 1000},
    }  # fmt: skip
    html = (
        f"<!doctype html><meta charset=utf-8><script type=application/json id=driver-data>{json.dumps(data)}</script>"
        '<script type=module>import { Driver } from "/driver.js"; window.driver = new Driver(); driver.start();</script>'
    )

    def answer(route: Route) -> None:
        name = route.request.url.removeprefix(ORIGIN + "/")
        if name == "":
            route.fulfill(body=html, content_type="text/html")
        else:
            route.fulfill(body=(SCRIPTS / name).read_text("utf-8"), content_type="text/javascript")

    context = browser.new_context(user_agent=user_agent or None, ignore_https_errors=trusted)
    context.add_init_script("navigator.permissions.query = () => Promise.reject(new TypeError('no such permission'));")
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.asked = asked  # type: ignore[attr-defined]  # handed to the test with the page
    page.route(f"{ORIGIN}/**", answer)
    if not plain:
        page.route(f"http://127.0.0.1:{note.port}/**", lambda route: route.abort("blockedbyclient"))
    page.goto(ORIGIN + "/")
    page.wait_for_function("window.driver && ['ready', 'failed'].includes(driver.state)")
    return page


@needs_chromium
def test_a_browser_that_blocks_plain_http_finds_the_driver_over_https(browser: Browser, secure: DriverProcess) -> None:
    page = platform(browser, secure.note, user_agent=SAFARI, trusted=True)
    assert page.evaluate("[driver.state, driver.locks.length, driver.port]") == ["ready", 1, 0]
    until(lambda: page.evaluate("1") and f"wss://127.0.0.1:{secure.note.tls_port}/v1/events" in page.asked, "the event socket")
    page.context.close()


@needs_chromium
def test_f07_an_untrusted_certificate_is_told_and_nothing_is_sent(browser: Browser, secure: DriverProcess) -> None:
    page = platform(browser, secure.note, user_agent=SAFARI, trusted=False)
    assert page.evaluate("[driver.state, driver.reason]") == ["failed", "DRIVER_CERTIFICATE"]
    page.context.close()


@needs_chromium
def test_chromium_never_asks_for_https(browser: Browser, secure: DriverProcess) -> None:
    page = platform(browser, secure.note, user_agent="", trusted=True, plain=True)
    assert page.evaluate("[driver.state, driver.port]") == ["ready", secure.port]
    page.context.close()
    blocked = platform(browser, secure.note, user_agent="", trusted=True)
    assert blocked.evaluate("[driver.state, driver.reason]") == ["failed", "DRIVER_ABSENT"]
    for asked in (page.asked, blocked.asked):
        assert [url for url in asked if f":{secure.port}/" in url]
        assert not [url for url in asked if f":{secure.note.tls_port}/" in url]
    blocked.context.close()


@needs_chromium
def test_the_user_reads_the_fingerprint_and_accepts_it_himself(browser: Browser, secure: DriverProcess) -> None:
    found = ask_code(secure.state)
    assert found
    page = browser.new_context(locale="zh-CN", ignore_https_errors=True).new_page()
    page.goto(f"http://127.0.0.1:{found[0]}/#{found[1]}")
    page.get_by_role("link", name="查看证书和信任方法").click()
    shown = page.locator("#fingerprint").inner_text().strip()
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", secure.note.tls_port)))
    assert shown == sha256(der).digest().hex(":").upper()
    address = page.locator("#address").inner_text().strip()
    assert address == f"https://127.0.0.1:{secure.note.tls_port}/"
    accepted = page.context.new_page()
    accepted.goto(address)
    accepted.get_by_text("证书已生效").wait_for()
    accepted.get_by_text("此浏览器已接受本机驱动证书").wait_for()
    page.context.close()
