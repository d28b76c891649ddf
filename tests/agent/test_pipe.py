"""Frames between driver and worker: typed, bounded, and wiped of PINs."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from calock.agent import pipe, worker
from calock.agent.backends.base import Listing


def test_a_request_travels_and_its_pin_can_be_wiped() -> None:
    request = pipe.Authenticate(
        id=7, key="k", certificate=b"c", origin="https://a", challenge="x", pin=bytearray(b"012345"), consent="window"
    )
    data = pipe.frame(request)
    assert pipe.body_length(bytes(data[:4])) == len(data) - 4
    got = pipe.to_worker(data[4:])
    assert got == request
    assert isinstance(got, pipe.Authenticate)
    pipe.wipe(data, got.pin)
    assert not any(data)
    assert got.pin == bytearray(6)


@pytest.mark.parametrize(
    "body", [b"", b"\x80", b"\xff" * 10, b"\x81\xa4type\xa4Nope", msgspec.msgpack.encode({"type": "Signed", "id": "x"})]
)
def test_nonsense_from_a_worker_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        pipe.from_worker(body)


def test_frames_are_bounded() -> None:
    with pytest.raises(ValueError):
        pipe.body_length((pipe.MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(ValueError):
        pipe.frame(pipe.Signed(1, bytes(pipe.MAX_FRAME + 1)))


def test_the_worker_wipes_pins_whatever_happens() -> None:
    class Failing:
        def list_locks(self) -> Listing:
            return Listing()

        def sign(self, *_: object, **__: object) -> bytes:
            raise RuntimeError

        def change_pin(self, *_: object, **__: object) -> None:
            raise RuntimeError

    old, new = bytearray(b"012345"), bytearray(b"543210")
    reply = worker.answer(Failing(), pipe.ChangePin(1, "k", b"c", old, new, "page"))
    assert isinstance(reply, pipe.Failed)
    assert reply.reason == "MODULE_FAILED"
    assert not any(old)
    assert not any(new)


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\x0a{", b"\xff\xff\xff\xff", b"\0\0\0\x02{}"])
def test_a_worker_ends_with_its_driver_however_the_last_frame_was_cut(sent: bytes) -> None:
    """A driver that is killed while it writes must not leave a process behind that holds the lock."""
    worker = subprocess.Popen([sys.executable, "-m", "calock.agent.worker"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        worker.communicate(sent, timeout=60)
        assert worker.returncode == 0
    finally:
        worker.kill()
