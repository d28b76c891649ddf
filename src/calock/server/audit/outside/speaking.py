"""HTTP with a place outside: one connection under one deadline, bounded answers. Redirects are not followed."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS, PlaceError
from calock.server.audit.outside.connections import connected
from calock.server.tools.bounded import Bounded, Deadline

MAX_ANSWER = 64 * 1024
"""Octets of an answer, or of a line of a log; pages that say why something was refused are shorter."""
Headers = Callable[[str, str, bytes | None], Mapping[str, str]]
"""What a request says of itself: from its method, its path with what stands behind ``?``, and its body."""


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class _Connection(http.client.HTTPConnection):
    """To one place; the deadline stands before each step. ``end`` closes it: ``close`` is called before an answer was read."""

    def __init__(self, parts: SplitResult, deadline: Deadline) -> None:
        super().__init__(str(parts.hostname), parts.port or PORTS[parts.scheme])
        self.default_port = PORTS[parts.scheme]
        self._parts, self._deadline = parts, deadline
        self._raw: socket.socket | None = None

    def connect(self) -> None:
        self.end()
        self._raw = connected(self._parts, self._deadline)
        if self._parts.scheme.endswith("https"):
            self._raw.settimeout(self._deadline.left())
            self._raw = ssl.create_default_context().wrap_socket(self._raw, server_hostname=self.host)
        self.sock = Bounded(self._raw, self._deadline)

    def end(self) -> None:
        if self._raw is not None:
            self._raw.close()


class Web:
    def __init__(self, connection: _Connection, headers: Headers) -> None:
        self._connection, self._headers = connection, headers

    def ask(self, method: str, path: str, body: bytes | None = None, *, accepted: Sequence[int] = (200,)) -> Answer:
        """Ask, and read the whole answer.

        Raises:
            OSError: there is none, or none that is accepted.
        """
        answer = self.begin(method, path, body)
        found = answer.read(MAX_ANSWER + 1)
        if len(found) > MAX_ANSWER:
            raise PlaceError(f"answered {method} with more than {MAX_ANSWER} octets")
        if answer.status not in accepted:
            raise PlaceError(f"answered {method} with status {answer.status}")
        return Answer(answer.status, answer.headers, found)

    def begin(self, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
        """Ask; the answer's status and body are the caller's to look at."""
        headers = {"User-Agent": "calock", "Accept-Encoding": "identity", **self._headers(method, path, body)}
        self._connection.request(method, path, body, headers)
        return self._connection.getresponse()


@contextmanager
def speaking(parts: SplitResult, headers: Headers, deadline: Deadline) -> Iterator[Web]:
    connection = _Connection(parts, deadline)
    try:
        yield Web(connection, headers)
    except http.client.HTTPException as error:
        raise PlaceError(f"no answer of HTTP: {type(error).__name__}") from error
    finally:
        connection.end()
