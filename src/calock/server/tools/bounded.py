"""Sockets under one deadline, however slowly the other side speaks: a socket's own timeout begins anew with each octet."""

from __future__ import annotations

import io
import socket
import time
from typing import Any, Protocol

CHUNK = 64 * 1024
STEP = 10.0
"""Seconds that one step may take, whatever is left."""


class Time(Protocol):
    """What is left until a deadline."""

    def left(self) -> float:
        """Seconds that the next step may take; raises when there are none."""


class Deadline:
    """When the other side must be done."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Give it all of its seconds again."""
        self._end = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds for the next step.

        Raises:
            TimeoutError: there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self._seconds:g} s")
        return min(left, STEP)


class Bounded:
    """The part of a socket that ``http.client`` uses, with the deadline put before each read and write."""

    def __init__(self, raw: socket.socket, time: Time, *, most: int | None = None) -> None:
        """``most`` octets are read, for a client that itself keeps as many as come."""
        self._raw = raw
        self._time = time
        self._most = most

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(self._time.left())
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("only for reading")
        return io.BufferedReader(_Reader(self._raw, self._time, self._most), CHUNK)

    def close(self) -> None:
        """Leave the socket to its owner: ``http.client`` closes it while the response is still being read."""


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.socket, time: Time, most: int | None) -> None:
        self._raw = raw
        self._time = time
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(self._time.left())
        read = self._raw.recv_into(buffer)
        if self._left is not None:
            self._left -= read
            if self._left < 0:
                raise OSError("more octets than are read")
        return read
