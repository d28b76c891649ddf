"""Whether the program at the other end of a loopback connection belongs to this user, and who listens on a port.

Linux: the owner of the other end's socket, from ``/proc/net/tcp`` and ``tcp6``. Other systems offer no such table without
elevated rights; there a driver of one user relies on Origin, Host and the PIN (docs/threats.md, B14).
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_MAPPED = "0000000000000000FFFF0000"
"""How an IPv4 address begins in the table of IPv6."""
_LISTENS = "0A"


def _hex_v4(address: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"


def _rows() -> Iterator[tuple[str, str, str, int]]:
    """(local end, other end, state, user id) of each TCP socket, as the kernel writes them."""
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 8)
            yield fields[1].removeprefix(_MAPPED), fields[2].removeprefix(_MAPPED), fields[3], int(fields[7])


def owner_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """User id that owns the client's end of a loopback connection; None when the kernel does not list it."""
    near, far = _hex_v4(*client), _hex_v4(*server)
    return next((user for local, other, _, user in _rows() if local == near and other == far), None)


def listener_on(port: int) -> int | None:
    """User id of the program that listens on a port of this computer; None when none does, or the system does not tell."""
    ends = {_hex_v4("127.0.0.1", port), *(f"{'0' * digits}:{port:04X}" for digits in (8, 32))}  # or on every address
    return next((user for local, _, state, user in _rows() if local in ends and state == _LISTENS), None)


def is_same_user(client: tuple[str, int] | None, server: tuple[str, int] | None) -> bool:
    """Whether the client runs as the driver's own user. Unknown counts as no where the system can tell."""
    if sys.platform != "linux":
        return True
    if client is None or server is None:
        return False
    return owner_of(client, server) == os.getuid()
