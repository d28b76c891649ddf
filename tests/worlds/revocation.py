"""A live source of revocation data on 127.0.0.1, as good or as hostile as a test wants it."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.x509 import ocsp
from worlds.browser import bound
from worlds.locks import make_lock_world
from worlds.practice import Family, PracticeLock, family, make_lock
from worlds.rows import ca_session, install

from calock.core.certificates.certificate import Certificate
from calock.core.revocation.ocsp import OID_NONCE
from calock.demo import der
from calock.server.locks import answers
from calock.server.providers.models import CaRecord, RevocationSource
from calock.server.sessions.models import Session

Answer = Callable[["Handler"], None]
HOUR = timedelta(hours=1)


class Handler(BaseHTTPRequestHandler):
    server: LiveSource
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server.answers.get(self.path.partition("?")[0], not_found)(self)
        self.close_connection = True

    do_GET = do_POST = do_CONNECT = _serve  # noqa: N815 - the names http.server calls

    def log_message(self, *args: object) -> None:
        pass

    def send(self, body: bytes, *, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class LiveSource(ThreadingHTTPServer):
    """``answers`` by path; ``asked`` is what came in."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.allow_reuse_port = bool(port)
        super().__init__(("127.0.0.1", port), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.over = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str) -> str:
        return url(self.server_address[1], path)

    def serve(self, path: str, body: bytes, **headers: str) -> None:
        self.answers[path] = lambda handler: handler.send(body, **headers)

    def stop(self) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


def url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"


@contextmanager
def live_source(port: int = 0) -> Iterator[LiveSource]:
    source = LiveSource(port)
    try:
        yield source
    finally:
        source.stop()


def not_found(handler: Handler) -> None:
    handler.send(b"", status=404)


def conditional(body: bytes) -> Answer:
    """A source that knows ETags."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'

    def answer(handler: Handler) -> None:
        if handler.headers.get("If-None-Match") == etag:
            handler.send_response(304)
            handler.send_header("ETag", etag)
            handler.end_headers()
        else:
            handler.send(body, ETag=etag)

    return answer


def redirect(location: str) -> Answer:
    return lambda handler: handler.send(b"", status=302, Location=location)


def dripping(handler: Handler) -> None:
    """One octet now and then, for ever; never a pause long enough to be called one."""
    handler.send_response(200)
    handler.send_header("Content-Length", "50000")
    handler.end_headers()
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"0")


def dripping_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"a")


def endless(size: int, *, announced: bool) -> Answer:
    """``size`` octets of zeros, with or without saying so first."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(size))
        handler.end_headers()
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            handler.wfile.write(block)

    return answer


def nonce_of(request: bytes) -> bytes:
    """The nonce inside an OCSP request."""
    parsed = ocsp.load_der_ocsp_request(request)
    return next(item.value.nonce for item in parsed.extensions if item.oid.dotted_string == OID_NONCE)


def moment() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@cache
def _held() -> socket.socket:
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind(("127.0.0.1", 0))
    return held


def held_port() -> int:
    """A port that nobody but this process's tests gets, and that refuses connections while none of them listens on it.

    The source of every test can stand there, so rows with its addresses can be kept from one test to the next.
    """
    return int(_held().getsockname()[1])


def install_ca(algorithm: str = "EC", *, port: int | None = None, rules: object = None, ocsp: bool = False) -> str:
    """Write the provider of a ``CrlWorld`` whose source stands at ``port``, or where sources of kept rows do; its algorithm."""
    address = partial(url, port or held_port())
    install(
        family(algorithm),
        values={"name": "练习平台", "short_name": "练习 CA", "hotline": ""},
        rules=rules or {},
        groups=("", ""),
        addresses=(
            {"crl_urls": (address("/root.crl"),), "private_network": True},
            {
                "crl_urls": (address("/issuing.crl"),),
                "ocsp_urls": (address("/ocsp"),) if ocsp else (),
                "private_network": True,
            },
        ),
    )
    return algorithm


class CrlWorld:
    """The provider that ``install_ca`` wrote; a live server's ``/issuing.crl``, ``/root.crl`` and ``/ocsp`` are its sources."""

    def __init__(self, source: LiveSource, algorithm: str = "EC", *, lock: PracticeLock | None = None) -> None:
        self.source = source
        self.family: Family = family(algorithm)
        self.number = 10
        self.lock = lock or make_lock(algorithm)
        self.leaf = Certificate.parse(self.lock.certificate)
        self.publish()

    @classmethod
    def installed(cls, source: LiveSource, algorithm: str = "EC", *, rules: object = None, ocsp: bool = False) -> CrlWorld:
        """For a test that commits, or has rules of its own: with the rows written now."""
        return cls(source, install_ca(algorithm, port=source.server_address[1], rules=rules, ocsp=ocsp))

    @property
    def path(self) -> list[Certificate]:
        return [self.leaf, *map(Certificate.parse, (self.family.issuing.certificate, self.family.root.certificate))]

    @property
    def issuing(self) -> RevocationSource:
        return RevocationSource.objects.select_related("ca_record__provider").get(url=self.source.url("/issuing.crl"))

    @property
    def root(self) -> RevocationSource:
        return RevocationSource.objects.select_related("ca_record__provider").get(url=self.source.url("/root.crl"))

    def crl(self, *, reason: str | None = None, authority=None, revoked: int | None = None, entries: int = 0, **fields) -> bytes:
        """A CRL with the lock on it when there is a ``reason``, and ``entries`` others."""
        now = moment()
        self.number += 1
        fields.setdefault("this_update", now - timedelta(minutes=5))
        fields.setdefault("next_update", now + 6 * HOUR)
        fields.setdefault("number", self.number)
        others = [(0x7000_0000_0000 + number, now - HOUR, None) for number in range(entries)]
        own = [(revoked or self.leaf.serial, now - HOUR, reason)] if reason else []
        return (authority or self.family.issuing).crl([*others, *own], **fields)

    def container(self, *crls: bytes, certificates: int = 0) -> bytes:
        """A PKCS#7 container (RFC 2315 clause 9.1) in DER with CRLs behind so many certificates."""
        content = der.sequence(der.oid("1.2.840.113549.1.7.1"))
        before = [der.tlv(0xA0, *[self.family.issuing.certificate] * certificates)] if certificates else []
        signed = der.sequence(der.integer(1), der.set_of(), content, *before, der.tlv(0xA1, *crls), der.set_of())
        return der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tlv(0xA0, signed))

    def publish(self, body: bytes | None = None, *, reason: str | None = None) -> bytes:
        """Serve a CRL for the locks' CA, and a clean one for the CA above."""
        body = self.crl(reason=reason) if body is None else body
        self.source.serve("/issuing.crl", body)
        if "/root.crl" not in self.source.answers:
            self.source.serve("/root.crl", self.crl(authority=self.family.root))
        return body


def install_bound_lock(algorithm: str, *, ocsp: bool = False) -> PracticeLock:
    """Write a provider as ``install_ca`` does, and the binding of a lock that its member bound; nobody is logged in."""
    people = make_lock_world(algorithm)
    install_ca(algorithm, ocsp=ocsp)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(answers, "with_live_answers", lambda verify: verify(people.evidence()))
        lock = make_lock(algorithm, lock_id="LIVE-1")
        bound(lock, people.member)
    Session.objects.all().delete()
    return lock


def session_with(world: CrlWorld | None, certificate: Certificate, name: str, record: CaRecord | None = None) -> Session:
    """A session as a login with this lock leaves it."""
    return ca_session(record or world.issuing.ca_record, certificate, name=name)
