"""Connections to places outside, under one deadline."""

from __future__ import annotations

import socket
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS
from calock.server.tools.bounded import Deadline


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
