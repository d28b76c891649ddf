"""Rate limits of one process (``limits``, moving window in memory). What must hold across processes is a database row."""

from __future__ import annotations

import ipaddress
import math
import time
from functools import cache

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from calock.core.refusals import Reason, Refusal


@cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def reset() -> None:
    """Forget every count (tests, and an operator's reload)."""
    limiter.cache_clear()


def address_key(ip: str | None) -> str:
    """One IPv6 customer has a /64 of addresses: they count as one."""
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _failures() -> RateLimitItem:
    return RateLimitItemPerMinute(settings.CALOCK.failures_per_minute)


def refuse_when_too_many(kind: str, ip: str | None) -> None:
    """Refuse an address that failed too often in the last minute.

    Raises:
        Refusal: TOO_MANY_ATTEMPTS, with ``seconds`` to wait.
    """
    item, key = _failures(), address_key(ip)
    if limiter().test(item, kind, key):
        return
    seconds = max(1, math.ceil(limiter().get_window_stats(item, kind, key).reset_time - time.time()))
    raise Refusal(Reason.TOO_MANY_ATTEMPTS, f"{kind}: more than {item.amount} failures a minute", {"seconds": seconds})


def count_failure(kind: str, ip: str | None) -> bool:
    """Count one failure of an address; False when it is past the limit."""
    return limiter().hit(_failures(), kind, address_key(ip))


def first_this_minute(kind: str, ip: str | None) -> bool:
    """Whether this is the address's first of its kind in a minute: what is worth a row once, not a thousand times."""
    return limiter().hit(RateLimitItemPerMinute(1), f"once {kind}", address_key(ip))
