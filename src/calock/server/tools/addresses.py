"""Which addresses this server may talk to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

Endpoint = tuple[str, str, int]
"""(scheme, lower-case host, port)."""

OTHER_SERVICES = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540,
    548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3306, 3659, 4045, 4190, 5060, 5061, 5432,
    6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
})  # fmt: skip
"""Ports that browsers ask for no page (Fetch Standard, "bad port"), and those of four databases: no request is to be one there."""


class FetchRefusedError(RuntimeError):
    """We did not ask: the address is not one that may be fetched. The text is for operators."""


def endpoint_of(url: str) -> Endpoint:
    """Scheme, host and port of an address.

    Raises:
        FetchRefusedError: not an http or https address as we accept them.
    """
    return endpoint(split(url))


def split(url: str) -> SplitResult:
    """Take an address apart after checking its form.

    Raises:
        FetchRefusedError: see :func:`endpoint_of`.
    """
    if len(url) > 1000 or any(ord(letter) <= 0x20 or ord(letter) == 0x7F for letter in url) or "\\" in url:
        raise FetchRefusedError("the address has characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchRefusedError("not an address") from error
    if port in OTHER_SERVICES:
        raise FetchRefusedError(f"port {port} is another service's")
    if parts.scheme not in ("http", "https"):
        raise FetchRefusedError(f"scheme {parts.scheme[:20]!r} is not fetched")
    if not parts.hostname:
        raise FetchRefusedError("the address names no host")
    if "@" in parts.netloc:
        raise FetchRefusedError("the address carries a user name")
    return parts


def endpoint(parts: SplitResult) -> Endpoint:
    """Scheme, host in its ASCII form and port, the scheme's own when none is named."""
    host = (parts.hostname or "").rstrip(".")
    try:
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise FetchRefusedError("the host is not a name") from error
    return parts.scheme, ascii_host, parts.port or (443 if parts.scheme == "https" else 80)


def checked_addresses(addresses: Iterable[str], host: str, *, private_network: bool) -> list[str]:
    """Return ``addresses`` when every one of them may be connected to.

    One that may not spoils all: a name that answers with a public and a private address is an attempt, not a mistake.

    Raises:
        FetchRefusedError: naming the host and the kind of address, not the address of a machine inside.
    """
    found = list(addresses)
    for text in found:
        kind = _kind(ipaddress.ip_address(text.partition("%")[0]))
        if kind == "forbidden" or (kind == "private" and not private_network):
            raise FetchRefusedError(f"{host} resolves to an address that is not public")
    return found


def refuse_literal(host: str, *, private_network: bool) -> None:
    """Refuse an address written as numbers that may not be fetched; names pass: a proxy resolves them.

    Raises:
        FetchRefusedError: not public, or numbers in a form that only some programs read as an address (``127.1``, ``0x7f000001``).
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        last = host.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x"):
            raise FetchRefusedError(f"{host} is neither a name nor a plain address") from None
        return
    checked_addresses([str(address)], host, private_network=private_network)


_FORBIDDEN = ipaddress.ip_network("0.0.0.0/8")
_UNICAST6 = ipaddress.ip_network("2000::/3")
"""All that IANA has given out as global unicast. What lies outside has no business here: ``fec0::/10`` (site-local), ``100::/64``,
``64:ff9b:1::/48``, ``5f00::/16``, IPv4-translated addresses and whatever is set aside next."""
_NOT_PUBLIC4 = tuple(
    map(
        ipaddress.IPv4Network,
        ("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
    )
)
_NOT_PUBLIC6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")))
"""Special-purpose ranges (IANA registries, RFC 6890) that some Python takes for global, or that no one machine has."""


def _kind(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """``public``, ``private`` (an operator may allow it) or ``forbidden``; IPv4 inside IPv6 counts as what it carries."""
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "forbidden"
    if isinstance(address, ipaddress.IPv4Address):
        if address in _FORBIDDEN:
            return "forbidden"
        special = any(address in network for network in _NOT_PUBLIC4)
        return "public" if address.is_global and not address.is_reserved and not special else "private"
    inner = _embedded(address)
    if inner is not None and address.teredo is None:
        return _kind(inner)
    if inner is not None and _kind(inner) == "forbidden":
        return "forbidden"
    special = address not in _UNICAST6 or any(address in network for network in _NOT_PUBLIC6)
    return "public" if address.is_global and not special else "private"


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in ipaddress.ip_network("64:ff9b::/96") or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
