"""Ask an address that somebody named, and none else, by GET or POST.

On ``http.client``: the address that was checked must be the address that is connected to, and every read must respect one deadline.
Libraries with pools, retries and redirects of their own hide exactly these two.

What is refused before a byte leaves: a host or port that is not on the target's list, another scheme than http and https, a user
name in the address, and a name that resolves to anything not public, unless the operator said that this one is in their own
network; link-local, multicast and unspecified addresses not even then (cloud metadata services live there).
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import IO, cast
from urllib.parse import urljoin

from calock.server.egress.connections import Budget, FetchFailedError, Limits, connect, failed
from calock.server.tools.addresses import Endpoint, FetchRefusedError, endpoint, split
from calock.server.tools.bounded import CHUNK, Bounded

MAX_REDIRECTS = 2
PEEK = 4096
"""Octets of a body that are enough to see whether it is the one held."""

_PRINTABLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
"""Values of ETag and Last-Modified that can be sent back as they came. Others are dropped, not cut."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address that may be fetched, and where a redirect from it may lead."""

    url: str
    hosts: Mapping[Endpoint, bool]
    """The endpoints that may be asked; True = the operator said that this one is in a private network."""
    proxy: str = ""
    """``http://host:port`` of the egress proxy; it resolves names then, and must have rules of its own."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back. ``modified`` False: nothing changed since the given validators, or the body begins as the one held."""

    modified: bool
    size: int = 0
    etag: str = ""
    last_modified: str = ""


Unchanged = Callable[[bytes, int | None], bool]
"""Is asked once, with the first ``PEEK`` octets of a body (or all, if fewer) and its announced length; True ends the fetch."""


@dataclass(frozen=True, slots=True)
class _Request:
    target: Target
    body: bytes | None
    headers: dict[str, str]
    statuses: Container[int]


def fetch(
    target: Target,
    sink: IO[bytes],
    *,
    limits: Limits,
    body: bytes | None = None,
    content_type: str = "",
    headers: Mapping[str, str] | None = None,
    statuses: Container[int] = (200,),
    etag: str = "",
    last_modified: str = "",
    unchanged: Unchanged | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Fetched:
    """Get (or with ``body`` post to) ``target`` and write the answer's body to ``sink``.

    ``statuses``: those that mean that it went well.

    Raises:
        FetchRefusedError: the address, or one it redirects to, may not be fetched; nothing was sent there.
        FetchFailedError: no answer, an error status, too large or too slow.
    """
    budget = Budget(limits, clock)
    sent = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "calock", "Connection": "close", **(headers or {})}
    if body is not None:
        sent["Content-Type"] = content_type
    conditions = {"If-None-Match": _printable(etag), "If-Modified-Since": _printable(last_modified)}
    conditions = {name: value for name, value in conditions.items() if value}
    request = _Request(target, body, {**sent, **conditions}, statuses)
    url = target.url
    for _ in range(MAX_REDIRECTS + 1):
        response, close = _ask(request, url, budget)
        try:
            if response.status in (301, 302, 303, 307, 308) and body is None:
                url = _joined(url, response.headers.get("Location", ""))
                continue
            if response.status == 304 and not conditions:
                raise FetchFailedError("answered that nothing changed, to somebody who has nothing")
            return _answer(response, sink, budget, statuses, unchanged)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise failed(error, budget) from error
        finally:
            close()
    raise FetchFailedError(f"more than {MAX_REDIRECTS} redirects")


def _printable(value: str) -> str:
    return value if _PRINTABLE.fullmatch(value) else ""


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise FetchRefusedError("it redirects to what is not an address") from error


def _answer(
    response: http.client.HTTPResponse, sink: IO[bytes], budget: Budget, statuses: Container[int], unchanged: Unchanged | None
) -> Fetched:
    etag, modified = (_printable(response.headers.get(name, "")) for name in ("ETag", "Last-Modified"))
    if response.status == 304:
        return Fetched(modified=False, etag=etag, last_modified=modified)
    if response.status not in statuses:
        raise FetchFailedError(f"answered with status {response.status}", status=response.status)
    announced = _announced(response)
    if announced is not None and announced > budget.limits.size:
        raise FetchFailedError(f"announces {announced} bytes; at most {budget.limits.size}")
    first, size = _read(response, sink, budget, PEEK if unchanged else 0)
    if unchanged is not None and unchanged(first[:PEEK], announced):
        return Fetched(modified=False, size=size, etag=etag, last_modified=modified)
    size += _read(response, sink, budget, None, read=size)[1]
    if announced is not None and size < announced:
        raise FetchFailedError(f"ended after {size} of {announced} bytes")
    return Fetched(modified=True, size=size, etag=etag, last_modified=modified)


def _read(
    response: http.client.HTTPResponse, sink: IO[bytes], budget: Budget, wanted: int | None, *, read: int = 0
) -> tuple[bytes, int]:
    """Read at least ``wanted`` octets of the body and return them and their number; None = all of it, and only the number.

    ``read``: how many were read before.
    """
    first, size = b"", 0
    while (wanted is None or size < wanted) and (chunk := response.read1(CHUNK)):
        size += len(chunk)
        if read + size > budget.limits.size:
            raise FetchFailedError(f"longer than {budget.limits.size} bytes")
        _keep(sink, chunk)
        if wanted is not None:
            first += chunk
        budget.left()
    return first, size


def _keep(sink: IO[bytes], chunk: bytes) -> None:
    try:
        sink.write(chunk)
    except OSError as error:  # our disk's failure, not the source's
        raise FetchFailedError(f"cannot be kept on this machine: {error}") from error


def _announced(response: http.client.HTTPResponse) -> int | None:
    text = cast(str, response.headers.get("Content-Length", ""))
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _ask(request: _Request, url: str, budget: Budget) -> tuple[http.client.HTTPResponse, Callable[[], None]]:
    """Check the address, connect to exactly what was checked, and send the request."""
    target = request.target
    parts = split(url)
    place = endpoint(parts)
    private_network = target.hosts.get(place)
    if private_network is None:
        raise FetchRefusedError(f"{place[1]}:{place[2]} is not an address that may be asked")
    scheme, host, port = place
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    if target.proxy and scheme == "http":
        path = parts._replace(fragment="").geturl()
    connection = http.client.HTTPConnection(host, port)
    raw: socket.socket | None = None
    try:
        raw = connect(place, budget, private_network=private_network, proxy=target.proxy)
        if scheme == "https":
            raw.settimeout(budget.left())
            raw = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
        connection.sock = Bounded(raw, budget)  # the part of a socket that http.client uses
        named = f"[{host}]" if ":" in host else host
        headers = {"Host": named if port == (443 if scheme == "https" else 80) else f"{named}:{port}", **request.headers}
        method = "GET" if request.body is None else "POST"
        connection.request(method, path if path.startswith(("/", "http")) else f"/{path}", request.body, headers)
        return connection.getresponse(), raw.close
    except (OSError, http.client.HTTPException, ValueError) as error:
        if raw is not None:
            raw.close()
        raise failed(error, budget) from error
    except FetchFailedError:
        if raw is not None:
            raw.close()
        raise
