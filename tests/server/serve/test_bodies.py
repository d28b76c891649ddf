"""Bodies that are late, too large, too many or broken off, as the event loop meets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from calock.server.process import bodies
from calock.server.process.bodies import BodyError, StreamedBody, give_up_late_ones, read_body
from calock.server.process.routes import MAX_BODY


class Sent:
    """What granian's protocol gives of a body: its pieces, and then nothing more for ever, or an error."""

    def __init__(self, *pieces: bytes, ends: str = "well") -> None:
        self._pieces, self._ends = pieces, ends
        self._rest: AsyncIterator[bytes] | None = None

    async def __call__(self) -> bytes:
        return b"".join([piece async for piece in self._all()])

    def __aiter__(self) -> Sent:
        """Once, as granian's."""
        if self._rest is not None:
            raise RuntimeError("RSGI protocol error")
        self._rest = self._all()
        return self

    async def __anext__(self) -> bytes:
        assert self._rest is not None
        return await anext(self._rest)

    async def _all(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if self._ends == "never":
            await asyncio.Event().wait()
        if self._ends == "broken":
            raise RuntimeError("the client is gone")


def read(sent: Sent, length: int | None) -> bytes:
    """Read as the gateway does: its timer looks at all bodies now and then."""

    async def both() -> bytes:
        reading = asyncio.create_task(read_body(sent, length))
        while not (await asyncio.wait([reading], timeout=0.02))[0]:
            give_up_late_ones()
        return reading.result()

    return asyncio.run(both())


@pytest.mark.parametrize(
    ("pieces", "length"),
    [((b"hello",), 5), ((b"he", b"llo"), None), ((), 0), ((b"x" * 40_000, b"y" * 60_000), 100_000), ((b"x" * MAX_BODY,), None)],
)
def test_a_whole_body_is_read(pieces, length):
    assert read(Sent(*pieces), length) == b"".join(pieces)


@pytest.mark.parametrize(
    ("sent", "length", "status"),
    [
        (Sent(b"{", ends="never"), 50, 408),
        (Sent(b"x" * 40_000, ends="never"), 100_000, 408),
        (Sent(b"{", ends="never"), None, 408),
        (Sent(b"{", ends="broken"), 50, 400),
        (Sent(b"{"), 50, 400),
        (Sent(b"{", ends="broken"), None, 400),
        (Sent(ends="never"), MAX_BODY + 1, 413),
        (Sent(b"x" * MAX_BODY, b"x", ends="never"), None, 413),
    ],
)
def test_a_body_that_is_not_one_is_given_up(monkeypatch, sent, length, status):
    monkeypatch.setattr(bodies, "SECONDS", 0.01)
    with pytest.raises(BodyError) as refused:
        read(sent, length)
    assert refused.value.status == status
    assert bodies._Held.total == 0


def test_large_bodies_are_kept_only_as_far_as_memory_was_set_aside(monkeypatch):
    monkeypatch.setattr(bodies, "HELD_AT_MOST", 150_000)

    async def two() -> list[object]:
        first = asyncio.create_task(read_body(Sent(b"x" * 100_000, ends="never"), 200_000))
        await asyncio.sleep(0)
        try:
            return list(await asyncio.gather(read_body(Sent(b"y" * 100_000), 100_000), return_exceptions=True))
        finally:
            first.cancel()

    (refused,) = asyncio.run(two())
    assert isinstance(refused, BodyError)
    assert refused.status == 503


def streamed(sent: Sent, read_it) -> object:
    """What a thread gets of a body that arrives in the loop, or the error it meets."""

    async def both() -> object:
        body = StreamedBody(sent, asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(read_it, body)
        except OSError as error:
            return error

    return asyncio.run(both())


def test_a_streamed_body_is_read_by_a_thread_as_it_comes():
    assert streamed(Sent(b"abc", b"", b"def"), lambda body: body.read(2) + body.readall()) == b"abcdef"
    assert streamed(Sent(b"x" * 100, b"y" * 100), lambda body: body.readall()) == b"x" * 100 + b"y" * 100


@pytest.mark.parametrize("ends", ["never", "broken"])
def test_a_streamed_body_that_stops_is_an_error_to_its_reader(monkeypatch, ends):
    monkeypatch.setattr(bodies, "SECONDS", 0.01)
    assert isinstance(streamed(Sent(b"abc", ends=ends), lambda body: body.readall()), OSError)
