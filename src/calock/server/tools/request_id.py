"""The id of the request that is being answered: in log lines, on error pages, in audit rows, so that they are found together.

It is the trace's, when the request came with one (W3C Trace Context, ``traceparent``), else made here.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"
"""In which every answer says it."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_NOBODY = "0" * 32

_current: ContextVar[str] = ContextVar("request_id", default="")


def new_request_id(traceparent: str) -> str:
    """32 hexadecimal digits; ``traceparent`` is the header's value, empty without one. What is not one is passed over."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found and found[1] != _NOBODY else secrets.token_hex(16)


def begin(request_id: str) -> None:
    """From here on this thread answers that request; empty: none."""
    _current.set(request_id)


def current() -> str:
    """The request that this thread answers; empty outside of one."""
    return _current.get()
