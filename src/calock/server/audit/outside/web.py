"""Heads at an address of HTTP: an object for each head below ``https://host/heads/``, or lines posted to ``https://host/heads``.

An object must not be there yet (``If-None-Match: *``); one that is there must be the same head. Redirects are not followed.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from typing import NamedTuple
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS, SECONDS, Heads, PlaceError, Sender
from calock.server.audit.outside.connections import Deadline, connected
from calock.server.tools.bounded import Bounded

MAX_HEAD = 4096
MAX_ANSWER = 64 * 1024
"""Octets of an answer, or of a line of a log; pages that say why something was refused are shorter."""
_OK = (200, 201, 202, 204)
_IS_THERE = (409, 412)


def put(parts: SplitResult, heads: Heads, by: Sender, deadline: Deadline) -> Iterator[Heads]:
    """Bring heads there: those that were taken together, once they were.

    Raises:
        OSError: the next ones were not taken.
    """
    with _speaking(parts, by, deadline) as web:
        if not parts.path.endswith("/"):
            web.ask("POST", parts.path or "/", "".join(f"{line}\n" for _, line in heads).encode(), accepted=_OK)
            yield heads
            return
        for seq, line in heads:
            _put_object(web, _object(parts, seq), line.encode())
            yield [(seq, line)]


def _put_object(web: _Web, path: str, head: bytes) -> None:
    answer = web.ask("PUT", path, head, accepted=(*_OK, *_IS_THERE))
    # it is there: by another machine, or by a try whose answer was lost
    if answer.status in _IS_THERE and web.ask("GET", path).body != head:
        raise PlaceError(f"{path} holds another head")


def got(parts: SplitResult, numbers: Iterable[int], then: int, by: Sender) -> Iterator[str]:
    """What lies there, head by head.

    Where each head is an object it is asked for by number: first ``numbers``, then those from ``then`` on for as long as there are.

    Raises:
        OSError: it does not answer as it should.
    """
    deadline = Deadline(SECONDS)  # for each head
    with _speaking(parts, by, deadline) as web:
        if not parts.path.endswith("/"):
            answer = web.begin("GET", parts.path or "/")
            while line := answer.readline(MAX_ANSWER):
                yield line.decode(errors="replace")
                deadline.renew()
            return
        for seq in chain(numbers, count(then)):
            deadline.renew()
            found = web.ask("GET", _object(parts, seq), accepted=(200, 404))
            if found.status == 200:
                yield found.body[:MAX_HEAD].decode(errors="replace")
            elif seq >= then:
                return


def _object(parts: SplitResult, seq: int) -> str:
    return f"{parts.path}{seq:012}.json"


class _Answer(NamedTuple):
    status: int
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
        if self._parts.scheme == "https":
            self._raw.settimeout(self._deadline.left())
            self._raw = ssl.create_default_context().wrap_socket(self._raw, server_hostname=self.host)
        self.sock = Bounded(self._raw, self._deadline)

    def end(self) -> None:
        if self._raw is not None:
            self._raw.close()


class _Web:
    def __init__(self, connection: _Connection, by: Sender) -> None:
        self._connection, self._by = connection, by

    def ask(self, method: str, path: str, body: bytes | None = None, *, accepted: Sequence[int] = (200,)) -> _Answer:
        """Ask, and read the whole answer.

        Raises:
            OSError: there is none, or none that is accepted.
        """
        answer = self.begin(method, path, body, accepted=accepted)
        found = answer.read(MAX_ANSWER + 1)
        if len(found) > MAX_ANSWER:
            raise PlaceError(f"answered {method} with more than {MAX_ANSWER} octets")
        return _Answer(answer.status, found)

    def begin(
        self, method: str, path: str, body: bytes | None = None, *, accepted: Sequence[int] = (200,)
    ) -> http.client.HTTPResponse:
        """Ask; the answer's body is the caller's to read."""
        headers = {"User-Agent": "calock", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if method == "POST" else "application/json"
        if method == "PUT":
            headers["If-None-Match"] = "*"
        if self._by.token:
            headers["Authorization"] = f"Bearer {self._by.token}"
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        if answer.status not in accepted:
            raise PlaceError(f"answered {method} with status {answer.status}")
        return answer


@contextmanager
def _speaking(parts: SplitResult, by: Sender, deadline: Deadline) -> Iterator[_Web]:
    connection = _Connection(parts, deadline)
    try:
        yield _Web(connection, by)
    except http.client.HTTPException as error:
        raise PlaceError(f"no answer of HTTP: {type(error).__name__}") from error
    finally:
        connection.end()
