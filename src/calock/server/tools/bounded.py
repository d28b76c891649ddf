"""Sockets under one deadline, however slowly the other side speaks: a socket's own timeout begins anew with each octet."""

from __future__ import annotations

import io
import socket
from typing import Any, Protocol

CHUNK = 64 * 1024


class Time(Protocol):
    """What is left until a deadline."""

    def left(self) -> float:
        """Seconds that the next step may take; raises when there are none."""


class Bounded:
    """The part of a socket that ``http.client`` uses, with the deadline put before each read and write."""

    def __init__(self, raw: socket.socket, time: Time) -> None:
        self._raw = raw
        self._time = time

    def sendall(self, data: Any) -> None:
        self._raw.settimeout(self._time.left())
        self._raw.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("only for reading")
        return io.BufferedReader(_Reader(self._raw, self._time), CHUNK)

    def close(self) -> None:
        """Leave the socket to its owner: ``http.client`` closes it while the response is still being read."""


class _Reader(io.RawIOBase):
    def __init__(self, raw: socket.socket, time: Time) -> None:
        self._raw = raw
        self._time = time

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._raw.settimeout(self._time.left())
        return self._raw.recv_into(buffer)
