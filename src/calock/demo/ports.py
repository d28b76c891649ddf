"""Ports of this computer for the programs of a demonstration."""

from __future__ import annotations

import contextlib
import errno
import socket

TRIES = 20
"""Any number that is free for UDP may be taken for TCP."""
_CLAIMS: list[socket.socket] = []
"""Held until this process ends."""


def free_port(wanted: int, *others: int) -> int:
    """``wanted`` if it is free, else the first free one of ``others``, else any.

    Its program listens a moment later: until then a UDP socket of the same number, which nobody else here uses, tells other
    demonstrations that the port is taken. Two of our servers would share one port, and each get every other request.
    """
    for port in (wanted, *others, *(0,) * TRIES):
        claim = socket.socket(type=socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            claim.bind(("127.0.0.1", port))
            found = int(claim.getsockname()[1])
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", found))
            _CLAIMS.append(claim)
            return found
        claim.close()
    raise OSError(errno.EADDRINUSE, "no free port on 127.0.0.1")
