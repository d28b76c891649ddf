"""Messages between the driver and its worker processes: MessagePack over a pipe, length first, never pickle.

A frame is four bytes of length (big-endian) and so many bytes of MessagePack. A worker is not trusted: frames are bounded and
decoded into types. PINs travel as ``bytearray`` so that both sides can overwrite them after use.
"""

from __future__ import annotations

import msgspec

from calock.agent.backends.base import Consent, Kind, LockRecord, TokenProblem

MAX_FRAME = 1024 * 1024
"""32 locks with four certificates of 8 KiB fit; a vendor library that claims more is broken."""


class Start(msgspec.Struct, frozen=True, tag=True):
    """First frame to a worker: the one module it is for."""

    kind: Kind
    path: str


class ListLocks(msgspec.Struct, frozen=True, tag=True):
    id: int


class Authenticate(msgspec.Struct, frozen=True, tag=True):
    """Sign for ``origin`` and ``challenge``. The worker builds what is signed by itself: no hash travels."""

    id: int
    key: str
    certificate: bytes
    origin: str
    challenge: str
    pin: bytearray
    consent: Consent


class ChangePin(msgspec.Struct, frozen=True, tag=True):
    """Change the PIN of the token that holds ``certificate``."""

    id: int
    key: str
    certificate: bytes
    old: bytearray
    new: bytearray
    consent: Consent


class Reveal(msgspec.Struct, frozen=True, tag=True):
    """Read the certificates that a token shows only after a PIN."""

    id: int
    device: str
    pin: bytearray
    consent: Consent


Operation = Authenticate | ChangePin | Reveal
"""Requests that may spend a PIN try."""
Request = ListLocks | Operation


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The module is loaded."""


class Changed(msgspec.Struct, frozen=True, tag=True):
    """Something was plugged in or out: list again."""


class Listed(msgspec.Struct, frozen=True, tag=True):
    id: int
    locks: tuple[LockRecord, ...]
    problems: tuple[TokenProblem, ...]


class Signed(msgspec.Struct, frozen=True, tag=True):
    id: int
    signature: bytes


class Done(msgspec.Struct, frozen=True, tag=True):
    id: int


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A refusal; ``id`` 0: the module could not be loaded."""

    id: int
    reason: str
    detail: str
    facts: dict[str, str | int | bool]


FromWorker = Ready | Changed | Listed | Signed | Done | Failed

_encoder = msgspec.msgpack.Encoder()
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
_to_worker: msgspec.msgpack.Decoder[Start | Request] = msgspec.msgpack.Decoder(Start | Request)


def frame(message: Start | Request | FromWorker) -> bytearray:
    """Encode one frame. The caller overwrites it after sending when it holds a PIN.

    Raises:
        ValueError: longer than a frame may be.
    """
    buffer = bytearray(4)
    _encoder.encode_into(message, buffer, 4)
    if len(buffer) - 4 > MAX_FRAME:
        raise ValueError("frame too large")
    buffer[:4] = (len(buffer) - 4).to_bytes(4, "big")
    return buffer


def body_length(head: bytes) -> int:
    """Length of the body that follows a frame's first four bytes.

    Raises:
        ValueError: more than a frame may hold.
    """
    length = int.from_bytes(head, "big")
    if length > MAX_FRAME:
        raise ValueError("frame too large")
    return length


def from_worker(body: bytes) -> FromWorker:
    """Decode what a worker said; raises msgspec.MsgspecError."""
    return _from_worker.decode(body)


def to_worker(body: bytes | bytearray) -> Start | Request:
    """Decode what the driver said; raises msgspec.MsgspecError."""
    return _to_worker.decode(body)


def wipe(*secrets: bytearray) -> None:
    """Overwrite, as well as Python lets us: copies made by the JSON parser and by C libraries are out of reach."""
    for secret in secrets:
        secret[:] = bytes(len(secret))
