"""Connections to places outside, under one deadline."""

from __future__ import annotations

import socket
import time
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS, SECONDS, PlaceError


class Deadline:
    """When a place must be done, however slowly it speaks."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """Give it all of its seconds again."""
        self._end = time.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds for the next step.

        Raises:
            PlaceError: there are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise PlaceError(f"not done within {self._seconds:g} s")
        return min(left, SECONDS)


def connected(parts: SplitResult, deadline: Deadline) -> socket.socket:
    """A TCP connection to the place, by whichever of its addresses answers.

    Raises:
        OSError: none does.
    """
    failure = OSError("no address")
    for *_, address in socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_STREAM):
        try:
            connection = socket.create_connection((str(address[0]), int(address[1])), deadline.left())
        except OSError as error:
            failure = error
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise failure
