"""How many downloads one process sends at once: a slow reader holds a thread, and threads are what logins need.

``calock serve`` gives each process more threads than there are slots, so a download can never take the last one.
"""

from __future__ import annotations

import threading
from collections import Counter

from calock.core.refusals import Reason, Refusal
from calock.server.tools.throttle import address_key

SLOTS = 4
"""Per process."""
PER_ADDRESS = 2
"""Per process and client address."""

_lock = threading.Lock()
_taken: Counter[str] = Counter()


class Slot:
    """Taken when made, given back once by ``release``.

    Raises:
        Refusal: SERVER_BUSY, with ``seconds`` to wait.
    """

    def __init__(self, ip: str | None) -> None:
        self._key = address_key(ip)
        with _lock:
            if _taken.total() >= SLOTS or _taken[self._key] >= PER_ADDRESS:
                raise Refusal(Reason.SERVER_BUSY, "too many downloads at once", {"seconds": 5})
            _taken[self._key] += 1
        self._held = True

    def release(self) -> None:
        with _lock:
            if self._held:
                self._held = False
                _taken[self._key] -= 1
                if not _taken[self._key]:
                    del _taken[self._key]
