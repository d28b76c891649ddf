"""A token bucket per key: how often one page may ask."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_KEYS = 256
"""Keys are allow-listed origins, so there are few; the bound is for the case that they are not."""


class TokenBucket:
    """``burst`` requests at once, then ``per_second``."""

    def __init__(self, burst: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._clock = float(burst), per_second, clock
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> bool:
        """Take one; False when there is none left for ``key``."""
        now = self._clock()
        level, then = self._levels.get(key, (self._burst, now))
        level = min(self._burst, level + (now - then) * self._rate)
        if key not in self._levels and len(self._levels) >= MAX_KEYS:
            self._levels.clear()
        self._levels[key] = (max(level - 1, 0) if level >= 1 else level, now)
        return level >= 1
