"""Fetch revocation data from the addresses an operator named, and from nowhere else.

On ``http.client``: the address that was checked must be the address that is connected to, and every read must respect one deadline.
Libraries with pools, retries and redirects of their own hide exactly these two.

What is refused before a byte leaves: a host or port that is not the provider record's, another scheme than http and https, a user
name in the address, and a name that resolves to anything not public, unless the operator said that this source is in his own
network; link-local, multicast and unspecified addresses not even then (cloud metadata services live there).
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urljoin

from calock.server.providers.addresses import (
    Endpoint,
    FetchRefusedError,
    checked_addresses,
    endpoint,
    refuse_literal,
    split,
)

MAX_REDIRECTS = 2
STALL = 5.0
"""Seconds that one connect, one resolution or one read may take."""
CHUNK = 64 * 1024

_RESOLVERS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="resolve")


class FetchFailedError(RuntimeError):
    """We asked and got nothing usable. The text is for operators."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one fetch: octets of the body, and seconds for all of it, redirects included."""

    size: int
    seconds: float


OCSP_LIMITS = Limits(64 * 1024, 3.0)
CRL_LIMITS = Limits(64 * 1024 * 1024, 120.0)
CRL_LIVE_LIMITS = Limits(64 * 1024 * 1024, 5.0)
"""While somebody waits at the login page."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address that may be fetched, and where a redirect from it may lead."""

    url: str
    hosts: frozenset[Endpoint]
    private_network: bool = False
    proxy: str = ""
    """``http://host:port`` of the egress proxy; it resolves names then, and must have rules of its own."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back. ``modified`` False: the source says that nothing changed since the given validators."""

    modified: bool
    size: int = 0
    etag: str = ""
    last_modified: str = ""


@dataclass(slots=True)
class _Budget:
    """One deadline for everything."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    end: float = field(init=False)

    def __post_init__(self) -> None:
        self.end = self.clock() + self.limits.seconds

    def left(self) -> float:
        """Seconds for the next step.

        Raises:
            FetchFailedError: there are none.
        """
        left = self.end - self.clock()
        if left <= 0:
            raise FetchFailedError(f"not finished within {self.limits.seconds:g} s")
        return min(left, STALL)


def fetch(
    target: Target,
    sink: IO[bytes],
    *,
    limits: Limits,
    body: bytes | None = None,
    content_type: str = "",
    etag: str = "",
    last_modified: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Get (or with ``body`` post to) ``target`` and write the answer's body to ``sink``.

    Raises:
        FetchRefusedError: the address, or one it redirects to, may not be fetched; nothing was sent there.
        FetchFailedError: no answer, an error status, too large or too slow.
    """
    budget = _Budget(limits, clock)
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "calock", "Connection": "close"}
    if body is not None:
        headers["Content-Type"] = content_type
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    url = target.url
    for _ in range(MAX_REDIRECTS + 1):
        response, close = _ask(target, url, budget, headers=headers, body=body)
        try:
            if response.status in (301, 302, 303, 307, 308) and body is None:
                url = urljoin(url, response.headers.get("Location", ""))
                continue
            return _answer(response, sink, budget)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(error, budget) from error
        finally:
            close()
    raise FetchFailedError(f"more than {MAX_REDIRECTS} redirects")


def _answer(response: http.client.HTTPResponse, sink: IO[bytes], budget: _Budget) -> Fetched:
    etag, modified = (response.headers.get(name, "")[:200] for name in ("ETag", "Last-Modified"))
    if response.status == 304:
        return Fetched(modified=False, etag=etag, last_modified=modified)
    if response.status != 200:
        raise FetchFailedError(f"answered with status {response.status}")
    most = budget.limits.size
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > most:
        raise FetchFailedError(f"announces {announced} bytes; at most {most}")
    size = 0
    while chunk := response.read1(CHUNK):
        size += len(chunk)
        if size > most:
            raise FetchFailedError(f"longer than {most} bytes")
        sink.write(chunk)
        budget.left()
    if announced.isdecimal() and len(announced) < 20 and size < int(announced):
        raise FetchFailedError(f"ended after {size} of {announced} bytes")
    return Fetched(modified=True, size=size, etag=etag, last_modified=modified)


def _ask(
    target: Target, url: str, budget: _Budget, *, headers: dict[str, str], body: bytes | None
) -> tuple[http.client.HTTPResponse, Callable[[], None]]:
    """Check the address, connect to exactly what was checked, and send the request."""
    parts = split(url)
    place = endpoint(parts)
    if place not in target.hosts:
        raise FetchRefusedError(f"{place[1]}:{place[2]} is not an address of this provider")
    scheme, host, port = place
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    connection = http.client.HTTPConnection(host, port)
    raw: socket.socket | None = None
    try:
        raw = _connect(target, place, budget)
        if target.proxy and scheme == "http":
            path = parts._replace(fragment="").geturl()
        if scheme == "https":
            raw.settimeout(budget.left())
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        connection.sock = _Bounded(raw, budget)  # the part of a socket that http.client uses
        named = f"[{host}]" if ":" in host else host
        headers = {"Host": named if port == (443 if scheme == "https" else 80) else f"{named}:{port}", **headers}
        connection.request("GET" if body is None else "POST", path if path.startswith(("/", "http")) else f"/{path}", body, headers)
        return connection.getresponse(), raw.close
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if raw is not None:
            raw.close()
        raise _failed(error, budget) from error
    except FetchFailedError:
        if raw is not None:
            raw.close()
        raise


def _connect(target: Target, place: Endpoint, budget: _Budget) -> socket.socket:
    scheme, host, port = place
    if target.proxy:
        refuse_literal(host, private_network=target.private_network)
        _, proxy_host, proxy_port = endpoint(split(target.proxy))
        connected = socket.create_connection((proxy_host, proxy_port), budget.left())
        if scheme == "https":
            _tunnel(connected, host, port, budget)
        return connected
    failure: OSError | None = None
    for address in checked_addresses(_resolve(host, port, budget), host, private_network=target.private_network):
        try:
            return socket.create_connection((address, port), budget.left())
        except OSError as error:
            failure = error
    raise failure or OSError("no address")


def _resolve(host: str, port: int, budget: _Budget) -> list[str]:
    """Resolve within the deadline: the system's resolver has none of its own."""
    future = _RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        return list(dict.fromkeys(str(item[4][0]) for item in future.result(timeout=budget.left())))
    except FutureTimeoutError as error:
        raise FetchFailedError("the name does not resolve in time") from error
    except (OSError, UnicodeError) as error:
        raise FetchFailedError("the name does not resolve") from error


def _tunnel(connected: socket.socket, host: str, port: int, budget: _Budget) -> None:
    name = f"[{host}]" if ":" in host else host
    connected.settimeout(budget.left())
    connected.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode("ascii"))
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        connected.settimeout(budget.left())
        octet = connected.recv(1)  # one at a time: what follows belongs to TLS
        if not octet or len(answer) > 8192:
            raise FetchFailedError("the egress proxy does not answer")
        answer += octet
    if answer.split(b" ", 2)[1:2] != [b"200"]:
        raise FetchFailedError("the egress proxy refused")


class _Bounded:
    """The part of a socket that ``http.client`` uses, with the deadline put before each read and write."""

    def __init__(self, raw: socket.socket, budget: _Budget) -> None:
        self._raw = raw
        self._budget = budget

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(self._budget.left())
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("only for reading")
        return io.BufferedReader(_Reader(self._raw, self._budget), CHUNK)

    def close(self) -> None:
        """Leave the socket to its owner: ``http.client`` closes it while the response is still being read."""


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.socket, budget: _Budget) -> None:
        self._raw = raw
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(self._budget.left())
        return self._raw.recv_into(buffer)


def _failed(error: Exception, budget: _Budget) -> FetchFailedError:
    if isinstance(error, TimeoutError) and budget.clock() >= budget.end:
        return FetchFailedError(f"not finished within {budget.limits.seconds:g} s")
    return FetchFailedError(_plain(error))


def _plain(error: Exception) -> str:
    """Say what went wrong for an operator: no addresses inside, no stack."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {getattr(error, 'reason', '') or 'failed'}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return f"connection failed ({type(error).__name__})"
