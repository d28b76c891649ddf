"""The guarded fetcher: what it asks, what it never asks, and how little of our time an answer can take."""

from __future__ import annotations

import io
import socket
import threading

import pytest
from worlds.revocation import dripping, dripping_headers, endless, redirect

from calock.server.egress.connections import FetchFailedError, Limits
from calock.server.egress.fetch import PEEK, Target, fetch
from calock.server.tools.addresses import FetchRefusedError, checked_addresses, endpoint_of

SMALL = Limits(1000, 2.0)


def target(url: str, *, private: bool = False, proxy: str = "", listed: str | None = None) -> Target:
    return Target(url, {endpoint_of(listed or url): private}, proxy=proxy)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ldap://ldap.example/cn=CRL",
        "gopher://127.0.0.1:6379/_x",
        "ftp://crl.example/a.crl",
        "//crl.example/a.crl",
        "crl.example/a.crl",
        "",
        "http://",
        "http://user@crl.example/a.crl",
        "http://crl.example@169.254.169.254/",
        "http://crl.example:99999/",
        "http://crl.example:port/",
        "http://crl.example:22/a.crl",
        "https://crl.example:6379/a.crl",
        "http://crl.example/a\r\nHost: evil",
        "http://crl.example\\@127.0.0.1/",
        "http://[::1/",
        "http://crl.example/" + "a" * 2000,
    ],
)
def test_a42_addresses_that_are_never_fetched(url):
    with pytest.raises(FetchRefusedError):
        endpoint_of(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.3.4", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.0.8", "198.18.0.1", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2002:a9fe:a9fe::1", "fec0::1", "3fff::1", "2001:db8::1", "100::1", "64:ff9b:1::7f00:1", "5f00::1", "2001:20::1",
        "2001:1::1", "2001:0:7f00:1::", "2001:0:102:304::fefd:fcfb", "::ffff:0:102:408", "4000::1", "2620:4f:8000::1",
        "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1", "192.0.2.1", "198.51.100.1", "203.0.113.1",
    ],
)  # fmt: skip
def test_a42_private_addresses_are_refused(address):
    with pytest.raises(FetchRefusedError, match="not public"):
        checked_addresses([address], "crl.example", private_network=False)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:169.254.169.254"])
def test_a42_metadata_services_are_refused_even_in_the_operators_own_network(address):
    with pytest.raises(FetchRefusedError):
        checked_addresses([address], "crl.example", private_network=True)


def test_a42_one_private_address_among_public_ones_spoils_the_name():
    with pytest.raises(FetchRefusedError):
        checked_addresses(["203.119.1.1", "10.0.0.1"], "crl.example", private_network=False)


@pytest.mark.parametrize("address", ["1.2.4.8", "223.5.5.5", "2400:3200::1", "64:ff9b::102:408"])
def test_public_addresses_are_fine(address):
    assert checked_addresses([address], "crl.example", private_network=False) == [address]


def test_a42_a_name_that_resolves_to_loopback_is_not_connected_to(source, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 80))])
    port = source.server_address[1]
    with pytest.raises(FetchRefusedError, match="not public"):
        fetch(target(f"http://crl.example:{port}/a.crl"), io.BytesIO(), limits=SMALL)
    assert source.asked == []


def test_a42_the_checked_address_is_the_one_connected_to(source, monkeypatch):
    """A name server that answers differently the second time (DNS rebinding) is asked only once."""
    source.serve("/a.crl", b"body")
    answers = iter([[(2, 1, 6, "", ("127.0.0.1", 80))]])
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: next(answers) if host == "crl.example" else real(host, *rest, **named),
    )
    sink = io.BytesIO()
    fetch(target(f"http://crl.example:{source.server_address[1]}/a.crl", private=True), sink, limits=SMALL)
    assert sink.getvalue() == b"body"
    assert next(answers, None) is None


real = socket.getaddrinfo


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/",
        "http://127.0.0.1:22/",
        "https://127.0.0.1/",
        "file:///etc/passwd",
        "http://x@127.0.0.1/",
        "//evil.example/",
    ],
)
def test_a42_redirects_off_the_list_are_not_followed(source, location):
    source.answers["/a.crl"] = redirect(location)
    with pytest.raises(FetchRefusedError):
        fetch(target(source.url("/a.crl"), private=True), io.BytesIO(), limits=SMALL)
    assert len(source.asked) == 1


def test_a42_leave_to_reach_a_private_address_is_one_endpoints_not_the_whole_providers(source, monkeypatch):
    """The operator's own mirror may be private; the public name that it redirects to may not turn out to be a machine inside."""
    port = source.server_address[1]
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **named: [(2, 1, 6, "", ("127.0.0.1", port))] if host == "crl.example" else real(host, *rest, **named),
    )
    source.answers["/a.crl"] = redirect(f"http://crl.example:{port}/secret")
    source.serve("/secret", b"internal")
    hosts = {endpoint_of(source.url("/")): True, ("http", "crl.example", port): False}
    sink = io.BytesIO()
    with pytest.raises(FetchRefusedError, match="not public"):
        fetch(Target(source.url("/a.crl"), hosts), sink, limits=SMALL)
    assert (source.asked, sink.getvalue()) == (["GET /a.crl"], b"")
    fetch(Target(source.url("/a.crl"), {**hosts, ("http", "crl.example", port): True}), sink, limits=SMALL)
    assert sink.getvalue() == b"internal"


@pytest.mark.parametrize(
    "location", ["http://[::1", "http://[zz]/", "http://\xff\xfe/", "/\xe9", "http://a\tb/", "http://" + "a" * 70 + ".x/"]
)
def test_a42_a_redirect_to_nonsense_is_an_answer_that_failed(source, location):
    source.answers["/a.crl"] = redirect(location)
    with pytest.raises((FetchRefusedError, FetchFailedError)):
        fetch(target(source.url("/a.crl"), private=True), io.BytesIO(), limits=SMALL)
    assert len(source.asked) == 1


def test_redirects_end(source):
    source.answers["/a.crl"] = redirect("/a.crl")
    with pytest.raises(FetchFailedError, match="redirects"):
        fetch(target(source.url("/a.crl"), private=True), io.BytesIO(), limits=SMALL)
    assert len(source.asked) == 3


def test_a40_two_gigabytes_are_refused_by_the_first_kilobyte(source):
    source.answers["/a"] = endless(2 << 30, announced=False)
    sink = io.BytesIO()
    with pytest.raises(FetchFailedError, match="longer than 1000 bytes"):
        fetch(target(source.url("/a"), private=True), sink, limits=SMALL)
    assert len(sink.getvalue()) <= 1000


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_a40_slow_drip_in_body_or_headers(source, answer):
    source.answers["/a"] = answer
    with pytest.raises(FetchFailedError, match="not finished within"):
        fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=Limits(1 << 20, 0.4))


@pytest.mark.parametrize("status", [204, 403, 404, 500, 503])
def test_a40_error_status(source, status):
    source.answers["/a"] = lambda handler: handler.send(b"x" if status != 204 else b"", status=status)
    with pytest.raises(FetchFailedError, match=f"status {status}"):
        fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL)


def test_nothing_changed_is_no_answer_for_who_has_nothing(source):
    source.answers["/a"] = lambda handler: handler.send(b"", status=304)
    with pytest.raises(FetchFailedError, match="nothing changed"):
        fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL)
    got = fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL, etag='"x"')
    assert not got.modified


@pytest.mark.parametrize("value", ["a" * 199 + "\r\n bb", "x" * 201, "\xe9", '"a\tb"', "   "])
def test_a40_validators_that_cannot_be_sent_back_are_not_kept(source, value):
    """A folded header that was cut to length ended in a carriage return, which http.client then refused to send, for ever."""

    def answer(handler):
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nETag: {value}\r\n\r\nbody".encode("latin-1"))

    source.answers["/a"] = answer
    got = fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL)
    assert (got.size, got.etag) == (4, "")
    fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL, etag="kept by an older version\r")
    assert len(source.asked) == 2


def test_a_disk_that_is_full_is_not_the_sources_fault(source):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    source.serve("/a", b"body")
    with pytest.raises(FetchFailedError, match="No space left"):
        fetch(target(source.url("/a"), private=True), Full(), limits=SMALL)


@pytest.mark.parametrize(("size", "announced"), [(100, 100), (PEEK, PEEK), (3 * PEEK, None)])
def test_a_body_that_begins_as_the_one_held_is_not_read_to_its_end(source, size, announced):
    seen = []

    def answer(handler):
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(announced))
        handler.end_headers()
        handler.wfile.write(b"x" * size)
        if size > PEEK:
            handler.server.over.wait(20)  # the rest would come, were anybody to wait for it

    def held(first, length):
        seen.append((len(first), length))
        return True

    source.answers["/a"] = answer
    got = fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=Limits(1 << 20, 20.0), unchanged=held)
    assert not got.modified
    assert seen == [(min(size, PEEK), announced)]


def test_a_body_that_begins_otherwise_is_read_whole(source):
    body = bytes(range(256)) * 100
    source.serve("/a", body)
    sink = io.BytesIO()
    got = fetch(target(source.url("/a"), private=True), sink, limits=Limits(1 << 20, 20.0), unchanged=lambda *_: False)
    assert (got.modified, got.size, sink.getvalue()) == (True, len(body), body)


def test_not_http_at_all(source):
    source.answers["/a"] = lambda handler: handler.wfile.write(b"\0\1\2\3" * 10)
    with pytest.raises(FetchFailedError):
        fetch(target(source.url("/a"), private=True), io.BytesIO(), limits=SMALL)


def test_a_name_that_does_not_resolve(monkeypatch):
    def failing(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", failing)
    with pytest.raises(FetchFailedError, match="does not resolve"):
        fetch(target("http://crl.example/a"), io.BytesIO(), limits=SMALL)


def test_the_egress_proxy_is_asked_for_the_whole_address(source):
    seen = []

    def proxy(handler):
        seen.append((handler.command, handler.path, handler.headers["Host"]))
        handler.send(b"through the proxy")

    source.answers["http://crl.example/a.crl"] = proxy
    sink = io.BytesIO()
    fetch(target("http://crl.example/a.crl", proxy=source.url("")), sink, limits=SMALL)
    assert sink.getvalue() == b"through the proxy"
    assert seen == [("GET", "http://crl.example/a.crl", "crl.example")]


@pytest.mark.parametrize("proxy", ["", "http://proxy.example:3128"])
def test_a_name_server_that_hangs_is_not_waited_for_beyond_the_deadline(monkeypatch, proxy):
    over = threading.Event()

    def hanging(*_args, **_named):
        over.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        with pytest.raises(FetchFailedError, match="does not resolve in time"):
            fetch(target("http://crl.example/a", proxy=proxy), io.BytesIO(), limits=Limits(1000, 0.3))
    finally:
        over.set()


def test_the_egress_proxy_is_not_asked_for_a_machine_inside(source):
    literals = (
        "169.254.169.254",
        "10.0.0.8",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "[::1]",
        "[::ffff:10.0.0.8]",
    )
    for url in (f"{scheme}://{literal}/" for literal in literals for scheme in ("http", "https")):
        with pytest.raises(FetchRefusedError):
            fetch(target(url, proxy=source.url("")), io.BytesIO(), limits=SMALL)
    assert source.asked == []


def test_https_goes_through_the_proxy_by_connect_and_a_refusing_proxy_is_said_so(source):
    source.answers["crl.example:443"] = lambda handler: handler.send(b"", status=403)
    with pytest.raises(FetchFailedError, match="proxy refused"):
        fetch(target("https://crl.example/a.crl", proxy=source.url("")), io.BytesIO(), limits=SMALL)
    assert source.asked == ["CONNECT crl.example:443"]


def test_a_plain_server_behind_https_fails_clearly(source):
    url = source.url("/a").replace("http:", "https:")
    with pytest.raises(FetchFailedError, match=r"TLS|connection failed"):
        fetch(target(url, private=True), io.BytesIO(), limits=SMALL)
