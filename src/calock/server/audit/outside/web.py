"""Heads at an address of HTTP: an object for each head below ``https://host/heads/``, or lines posted to ``https://host/heads``.

An object must not be there yet (``If-None-Match: *``); one that is there must be the same head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import SECONDS, Heads, PlaceError, Sender
from calock.server.audit.outside.speaking import MAX_ANSWER, Headers, Web, speaking
from calock.server.tools.bounded import Deadline

MAX_HEAD = 4096
_OK = (200, 201, 202, 204)
_IS_THERE = (409, 412)


def put(parts: SplitResult, heads: Heads, by: Sender, deadline: Deadline) -> Iterator[Heads]:
    """Bring heads there: those that were taken together, once they were.

    Raises:
        OSError: the next ones were not taken.
    """
    with speaking(parts, _headers(by), deadline) as web:
        if not parts.path.endswith("/"):
            web.ask("POST", parts.path or "/", "".join(f"{line}\n" for _, line in heads).encode(), accepted=_OK)
            yield heads
            return
        for seq, line in heads:
            _put_object(web, _object(parts, seq), line.encode())
            yield [(seq, line)]


def _put_object(web: Web, path: str, head: bytes) -> None:
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
    with speaking(parts, _headers(by), deadline) as web:
        if not parts.path.endswith("/"):
            answer = web.begin("GET", parts.path or "/")
            if answer.status != 200:
                raise PlaceError(f"answered GET with status {answer.status}")
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


def _headers(by: Sender) -> Headers:
    def made(method: str, _path: str, body: bytes | None) -> Mapping[str, str]:
        headers = {"Authorization": f"Bearer {by.token}"} if by.token else {}
        if body is not None:
            headers["Content-Type"] = "application/x-ndjson" if method == "POST" else "application/json"
        if method == "PUT":
            headers["If-None-Match"] = "*"
        return headers

    return made
