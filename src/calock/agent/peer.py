"""Whether the program at the other end of a loopback connection belongs to this user.

Linux: the owner of the other end's socket, from ``/proc/net/tcp`` and ``tcp6``. Other systems offer no such table without
elevated rights; there a driver of one user relies on Origin, Host and the PIN (docs/threats.md, B14).
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def _hex_v4(address: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"


def owner_of(client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """User id that owns the client's end of a loopback connection; None when the kernel does not list it."""
    near, far = _hex_v4(*client), _hex_v4(*server)
    mapped = "0000000000000000FFFF0000"
    for table, prefix in zip(_TABLES, ("", mapped), strict=True):
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 8)
            if fields[1] == prefix + near and fields[2] == prefix + far:
                return int(fields[7])
    return None


def is_same_user(client: tuple[str, int] | None, server: tuple[str, int] | None) -> bool:
    """Whether the client runs as the driver's own user. Unknown counts as no where the system can tell."""
    if sys.platform != "linux":
        return True
    if client is None or server is None:
        return False
    return owner_of(client, server) == os.getuid()
