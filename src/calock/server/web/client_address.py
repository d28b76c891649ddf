"""The address of whoever asks: the connection's peer, or behind a listed proxy what that proxy says."""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from django.conf import settings

_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")

Network = IPv4Network | IPv6Network

log = logging.getLogger("calock.server")


class ClientAddress(NamedTuple):
    """``ip`` is None when what was said is no address; ``said`` is what it was taken from."""

    ip: str | None
    said: str

    @property
    def text(self) -> str:
        """The address as a key: everybody without one is the same."""
        return self.ip or "unknown"


def _bare(part: str) -> str:
    """``203.0.113.7:51234`` and ``[2001:db8::7]:51234`` without their ports, as some proxies write them."""
    match = _WITH_PORT.fullmatch(part)
    return (match["six"] or match["four"]) if match else part


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address that arrived at an IPv6 socket (``::ffff:192.0.2.1``, RFC 4291 clause 2.5.5.2) is the IPv4 address.

    A zone (``fe80::1%eth0``, RFC 4007 clause 11) is a name on the machine that wrote it, and a database keeps none.
    """
    found = ipaddress.ip_address(text.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _is_proxy(text: str, proxies: Sequence[Network]) -> bool:
    """Whether it is the address of a listed proxy."""
    if not proxies:
        return False
    try:
        address = _address(text)
    except ValueError:
        return False
    return any(address in network for network in proxies)


def client_address(peer: str, forwarded_for: str) -> ClientAddress:
    """The peer; when it is a listed proxy, the last address of ``X-Forwarded-For`` that is not itself a listed proxy."""
    return _client_address(peer, forwarded_for, settings.CALOCK.trusted_proxies)


@lru_cache(maxsize=256)
def _client_address(peer: str, forwarded_for: str, proxies: tuple[Network, ...]) -> ClientAddress:
    """Asked several times for each request, by the gateway and by what it calls."""
    chain = [peer]
    if _is_proxy(peer, proxies):
        chain = [_bare(part.strip()) for part in forwarded_for.split(",")] + chain
    said = next((part for part in reversed(chain) if not _is_proxy(part, proxies)), peer)
    try:
        return ClientAddress(str(_address(said)), said)
    except ValueError:
        return ClientAddress(None, said)


HOUR = 3600.0
ENOUGH = 100
"""Requests of an hour after which it is no accident that all came from one address."""


class Watch:
    """Notices, in one process, that people's addresses do not arrive: a proxy that is not listed, or one that writes none.

    Every limit that goes by address then treats all people as one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since = time.monotonic()
        self._peer, self._count, self._alone = "", 0, True
        self._one_peer = self._unreadable = False

    def see(self, peer: str, found: ClientAddress) -> None:
        """Count one request."""
        if found.ip is None and not self._unreadable:
            self._unreadable = True
            log.error("client_address_unreadable: %r is no address; limits treat everybody without one as one", found.said[:60])
        if settings.CALOCK.trusted_proxies or settings.CALOCK.insecure_http:
            return
        with self._lock:
            self._count += 1
            self._alone = self._alone and peer == (self._peer or peer)
            self._peer = self._peer or peer
            if time.monotonic() - self._since >= HOUR:
                self._end_hour()

    def _end_hour(self) -> None:
        was = self._one_peer
        self._one_peer = self._alone and self._count >= ENOUGH and _is_private(self._peer)
        if self._one_peer and not was:
            log.error("all %d requests of an hour came from %s: CALOCK_TRUSTED_PROXIES names no proxy", self._count, self._peer)
        self._since, self._peer, self._count, self._alone = time.monotonic(), "", 0, True

    def lines(self) -> list[str]:
        """What ``/readyz`` says of it."""
        lines = []
        if self._one_peer:
            lines.append("addresses: all requests of an hour came from one private address; CALOCK_TRUSTED_PROXIES is not set")
        if self._unreadable:
            lines.append("addresses: a proxy's X-Forwarded-For held no address")
        return lines


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


watch = Watch()
"""Of this process."""
