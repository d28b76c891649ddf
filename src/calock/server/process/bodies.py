"""Request bodies: read whole, within bounds of size and time, before anybody works on them."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

from calock.server.process.routes import MAX_BODY

SECONDS = 20.0
"""For a whole body of at most MAX_BODY bytes, and for each piece of a streamed one."""
SMALL = 16 * 1024
"""Bodies up to this size are read in one go; of larger ones every byte counts towards HELD_AT_MOST."""
HELD_AT_MOST = 64 * 1024 * 1024
"""Bytes of larger bodies that one process keeps while they arrive."""


class BodyError(RuntimeError):
    """The body was not accepted; the connection is closed with ``status``."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class _Held:
    total = 0


_reading: dict[asyncio.Task[object], float] = {}
"""Requests whose body is on its way, and since when. One timer for all costs less than one each."""
_late: set[asyncio.Task[object]] = set()


def give_up_late_ones() -> None:
    """Give up every body that is on its way for too long; called again and again by the event loop."""
    limit = time.monotonic() - SECONDS
    for task in [task for task, since in _reading.items() if since < limit]:
        _late.add(task)
        task.cancel()


async def read_body(protocol: Any, length: int | None) -> bytes:
    """The whole body; ``length`` is the one its header names, None for a chunked one.

    Raises:
        BodyError: 413 too large, 408 not there in time, 503 too many at once, 400 broken off.
    """
    if length == 0:
        return b""
    if length is not None and length > MAX_BODY:
        raise BodyError(413, f"a body of at most {MAX_BODY} bytes")
    task = asyncio.current_task()
    assert task is not None
    _reading[task] = time.monotonic()
    try:
        body: bytes = await protocol() if length is not None and length <= SMALL else await _gathered(protocol)
    except asyncio.CancelledError as error:
        if task not in _late:
            raise
        task.uncancel()
        raise BodyError(408, "the body did not arrive in time") from error
    except RuntimeError as error:  # granian's, when the client is gone
        if isinstance(error, BodyError):
            raise
        raise BodyError(400, "the body broke off") from error
    finally:
        del _reading[task]
        _late.discard(task)
    if length is not None and len(body) != length:
        raise BodyError(400, "the body broke off")
    return body


async def _gathered(protocol: Any) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in protocol:
            pieces.append(piece)
            size += len(piece)
            _Held.total += len(piece)
            if size > MAX_BODY:
                raise BodyError(413, f"a body of at most {MAX_BODY} bytes")
            if _Held.total > HELD_AT_MOST:
                raise BodyError(503, "too many bodies at once")
    finally:
        _Held.total -= size
    return b"".join(pieces)


class StreamedBody(io.RawIOBase):
    """A body that is read by a thread while it arrives, each piece within SECONDS."""

    def __init__(self, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._pieces: AsyncIterator[bytes] = aiter(protocol)
        self._loop = loop
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill what fits.

        Raises:
            OSError: the next piece did not come in time, or the connection broke.
        """
        if not self._left:
            self._left = self._next()
        taken = min(len(buffer), len(self._left))
        buffer[:taken], self._left = self._left[:taken], self._left[taken:]
        return taken

    def _next(self) -> bytes:
        async def piece() -> bytes:
            async with asyncio.timeout(SECONDS):
                # not ``async for``, which would begin anew each time: granian lets a body be begun once
                while (found := await anext(self._pieces, None)) is not None:
                    if found:  # the last one may be empty, which says nothing
                        return found
            return b""

        try:
            return asyncio.run_coroutine_threadsafe(piece(), self._loop).result()
        except (TimeoutError, RuntimeError) as error:
            raise OSError("the body broke off") from error
