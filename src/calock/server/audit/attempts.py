"""Acts that people may fail at: a refusal counts against whoever sent it, and leaves a row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from calock.core.refusals import Refusal
from calock.server.audit.events import Event
from calock.server.audit.services import Where, record_refusal
from calock.server.tools import throttle


class Asking(Where, Protocol):
    @property
    def sender(self) -> throttle.Sender: ...


@contextmanager
def counted(kind: str, refused: Event, *, context: Asking, **known: Any) -> Iterator[dict[str, Any]]:
    """Refuse whoever failed too often at ``kind``; count a refusal of the body and record it as ``refused``.

    ``known`` is what ``record_refusal`` takes; the body may add to it what it learns.

    Raises:
        Refusal: TOO_MANY_ATTEMPTS, before anything is recorded: one row a minute says it.
    """
    throttle.refuse_when_too_many(kind, context.sender)
    try:
        yield known
    except Refusal as refusal:
        throttle.count_failure(kind, context.sender)
        record_refusal(refused, refusal, context=context, **known)
        raise
