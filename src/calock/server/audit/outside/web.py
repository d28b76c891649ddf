"""Heads at an address of HTTP: an object for each head below ``https://host/heads/``, or lines posted to ``https://host/heads``.

An object must not be there yet (``If-None-Match: *``); one that is there must be the same head. Redirects are not followed.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS, SECONDS, PlaceError, Sender

MAX_HEAD = 4096
_OK = (200, 201, 202, 204)
_IS_THERE = (409, 412)


def put(parts: SplitResult, heads: Sequence[tuple[int, str]], by: Sender) -> None:
    """Bring heads there.

    Raises:
        OSError: not all of them were taken.
    """
    with closing(_connection(parts)) as connection:
        web = _Web(connection, by)
        if not parts.path.endswith("/"):
            lines = "".join(f"{line}\n" for _, line in heads).encode()
            web.ask("POST", parts.path or "/", lines, accepted=_OK).read(MAX_HEAD)
            return
        for seq, line in heads:
            _put_object(web, _object(parts, seq), line.encode())


def _put_object(web: _Web, path: str, head: bytes) -> None:
    answer = web.ask("PUT", path, head, accepted=(*_OK, *_IS_THERE))
    answer.read()
    # it is there: by another machine, or by a try whose answer was lost
    if answer.status in _IS_THERE and web.ask("GET", path).read(MAX_HEAD) != head:
        raise PlaceError(f"{path} holds another head")


def got(parts: SplitResult, numbers: Iterable[int], then: int, by: Sender) -> Iterator[str]:
    """What lies there, head by head.

    Where each head is an object it is asked for by number: first ``numbers``, then those from ``then`` on for as long as there are.

    Raises:
        OSError: it does not answer as it should.
    """
    with closing(_connection(parts)) as connection:
        web = _Web(connection, by)
        if not parts.path.endswith("/"):
            for line in web.ask("GET", parts.path or "/"):
                yield line.decode(errors="replace")
            return
        for seq in chain(numbers, count(then)):
            answer = web.ask("GET", _object(parts, seq), accepted=(200, 404))
            body = answer.read()
            if answer.status == 200:
                yield body[:MAX_HEAD].decode(errors="replace")
            elif seq >= then:
                return


def _object(parts: SplitResult, seq: int) -> str:
    return f"{parts.path}{seq:012}.json"


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return made(str(parts.hostname), parts.port or PORTS[parts.scheme], timeout=SECONDS)


@dataclass(frozen=True, slots=True)
class _Web:
    connection: http.client.HTTPConnection
    by: Sender

    def ask(
        self, method: str, path: str, body: bytes | None = None, *, accepted: Sequence[int] = (200,)
    ) -> http.client.HTTPResponse:
        headers = {"User-Agent": "calock", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if method == "POST" else "application/json"
        if method == "PUT":
            headers["If-None-Match"] = "*"
        if self.by.token:
            headers["Authorization"] = f"Bearer {self.by.token}"
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except http.client.HTTPException as error:
            raise PlaceError(f"no answer of HTTP: {type(error).__name__}") from error
        if answer.status not in accepted:
            raise PlaceError(f"answered {method} with status {answer.status}")
        return answer
