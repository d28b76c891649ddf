"""The address ``calock serve`` listens on: valid on this machine, and not in use by another program."""

from __future__ import annotations

import errno
import socket
from ipaddress import ip_address


class PortTakenError(RuntimeError):
    """Another program listens there."""


def is_address(host: str) -> bool:
    """Whether the server can be told to listen on ``host``: an IP address without a zone, never a name."""
    try:
        return "%" not in host and bool(ip_address(host).packed)
    except ValueError:
        return False


def require_free(host: str, port: int) -> None:
    """Try the port once, and leave it.

    The server's own sockets share their port (SO_REUSEPORT: that is how its workers divide the connections), so a second
    ``calock serve`` would be let in and get every other request, for another database perhaps. One that does not share is not.

    Raises:
        PortTakenError: somebody listens there.
        OSError: this machine has no such address, or does not allow the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of the server before may linger
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTakenError(f"port {port} of {host} is taken: another program listens there") from error
            raise OSError(f"cannot listen on port {port} of {host}: {error.strerror}") from error
