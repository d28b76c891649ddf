"""Heads as messages of a log server (RFC 5424), over UDP, TCP (counted in octets, RFC 6587 clause 3.4.1) or a local socket.

Nothing answers: a message counts as delivered when the system, or over TCP the connection, took it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult

from calock.server.audit.outside.addresses import PORTS, SECONDS
from calock.server.audit.outside.connections import connected
from calock.server.tools.bounded import Deadline

PRIORITY = 13 * 8 + 5
"""Facility 13 (log audit), severity 5 (notice): RFC 5424 clause 6.2.1."""


def log(parts: SplitResult, lines: Sequence[str], deadline: Deadline) -> None:
    """Send a message for each line.

    Raises:
        OSError: the receiver does not take them.
    """
    with _connected(parts, deadline) as connection:
        for line in lines:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            message = f"<{PRIORITY}>1 {at} {socket.gethostname()} calock {os.getpid()} audit-head - {line}".encode()
            connection.settimeout(deadline.left())
            connection.sendall(b"%d %s" % (len(message), message) if parts.scheme == "syslog+tcp" else message)
        if parts.scheme == "syslog+tcp":
            _require_taken(connection)


def _require_taken(connection: socket.socket) -> None:
    """Wait until the other side has read to the end, as far as TCP tells: it closes, or says nothing for a second."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1.0)
    try:
        connection.recv(1)
    except TimeoutError:
        return


def _connected(parts: SplitResult, deadline: Deadline) -> socket.socket:
    if parts.scheme == "syslog+tcp":
        return connected(parts, deadline)
    family: int = socket.AF_UNIX
    where: str | tuple[Any, ...] = parts.path
    if parts.scheme == "syslog+udp":
        found = socket.getaddrinfo(parts.hostname, parts.port or PORTS[parts.scheme], type=socket.SOCK_DGRAM)
        family, where = found[0][0], found[0][4]
    connection = socket.socket(family, socket.SOCK_DGRAM)
    try:
        connection.settimeout(SECONDS)
        connection.connect(where)
    except OSError:
        connection.close()
        raise
    return connection
