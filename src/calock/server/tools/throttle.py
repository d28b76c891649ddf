"""Rate limits of one process (``limits``, moving window in memory).

They bound what rubbish costs: time of a core, rows of the trail, lines of the log. What must hold across processes and machines,
tries of a password, is counted in the database (:mod:`calock.server.accounts.password_tries`).
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from calock.core.refusals import Reason, Refusal

CEILING = 10
"""How many times as many failures all unknown browsers of one address may make as one of them: offices and mobile networks share
addresses."""


class Sender(NamedTuple):
    """As whom a request is counted. ``ceiling``: the address it is counted for as well; empty when it is counted by itself."""

    own: str
    ceiling: str = ""


@cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def reset() -> None:
    """Forget every count (tests)."""
    limiter.cache_clear()


@lru_cache(maxsize=1024)
def address_key(ip: str | None) -> str:
    """One IPv6 customer has a /64 of addresses: they count as one."""
    if ip is None:
        return "unknown"
    address = ipaddress.ip_address(ip)
    if address.version == 6 and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _counts(sender: Sender) -> Iterator[tuple[RateLimitItem, str]]:
    limit = settings.CALOCK.failures_per_minute
    yield RateLimitItemPerMinute(limit), sender.own
    if sender.ceiling:
        yield RateLimitItemPerMinute(limit * CEILING), sender.ceiling


def refuse_when_too_many(kind: str, sender: Sender) -> None:
    """Refuse whoever failed too often in the last minute.

    Raises:
        Refusal: TOO_MANY_ATTEMPTS, with ``seconds`` to wait.
    """
    for item, key in _counts(sender):
        if not limiter().test(item, kind, key):
            seconds = max(1, math.ceil(limiter().get_window_stats(item, kind, key).reset_time - time.time()))
            raise Refusal(Reason.TOO_MANY_ATTEMPTS, f"{kind}: more than {item.amount} failures a minute", {"seconds": seconds})


def count_failure(kind: str, sender: Sender) -> None:
    """Count one failure."""
    for item, key in _counts(sender):
        limiter().hit(item, kind, key)


def is_worth_a_row(kind: str, ip: str | None) -> bool:
    """Whether this address has written fewer rows of a kind in the last minute than it may; asking counts as writing one."""
    return limiter().hit(RateLimitItemPerMinute(settings.CALOCK.failures_per_minute), f"row {kind}", address_key(ip))


def first_this_minute(kind: str, ip: str | None) -> bool:
    """Whether this is the address's first of its kind in a minute: what is worth a row once, not a thousand times."""
    return limiter().hit(RateLimitItemPerMinute(1), f"once {kind}", address_key(ip))
