"""Ports of this computer for the programs of a demonstration."""

from __future__ import annotations

import contextlib
import errno
import random
import socket

ANY = range(15_000, 32_000)
"""Below those that systems give to connections that go out: one of these would take the port before its program listens."""
TRIES = 50
_CLAIMS: list[socket.socket] = []
"""Held until this process ends."""


def free_port(wanted: int = 0, *others: int) -> int:
    """``wanted`` if it is free, else the first free one of ``others``, else any. 0 is none.

    Its program listens a moment later: until then a UDP socket of the same number, which nobody else here uses, tells other
    demonstrations that the port is taken. Two of our servers would share one port, and each get every other request.
    """
    for port in filter(None, (wanted, *others, *random.SystemRandom().sample(ANY, TRIES))):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            claim.bind(("127.0.0.1", port))
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            _CLAIMS.append(claim)
            return port
        claim.close()
    raise OSError(errno.EADDRINUSE, "no free port on 127.0.0.1")
