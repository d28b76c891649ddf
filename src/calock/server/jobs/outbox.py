"""Send what waits in the outbox: each kind in a lane of its own, so that a mail server that hangs keeps nothing else waiting."""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import Future
from functools import partial

from calock.server.jobs.lanes import Lanes
from calock.server.outbox.kinds import kinds
from calock.server.outbox.services import claim, deliver

OF_ONE = 4
"""Threads for one kind, and as many for each other one: while all mail and text messages hang, logouts wait for none of them."""
HELD = 40
"""Messages of one kind that this machine holds at most: ten for each thread, of a minute each, fit into a lease."""


class Delivery:
    """The outbox of this machine's background process."""

    def __init__(self) -> None:
        self._lanes = Lanes("outbox", at_once=OF_ONE * len(kinds()), of_one=OF_ONE)
        self._held: defaultdict[str, list[Future[None]]] = defaultdict(list)
        self.more = threading.Event()
        """Set when a kind of which more may wait than this machine holds has room again: the job need not wait for its time."""

    def tick(self) -> int:
        """Claim what is due and put it into the lane of its kind; how many."""
        started = 0
        for kind in kinds():
            under_way = [work for work in self._held[kind.code] if not work.done()]
            claimed = claim(kind, limit=HELD - len(under_way))
            put = [self._lanes.put(kind.code, partial(deliver, message, kind)) for message in claimed]
            self._held[kind.code] = under_way + put
            if put and len(under_way) + len(put) == HELD:
                put[len(put) // 2].add_done_callback(lambda _: self.more.set())
            started += len(claimed)
        return started

    def wait(self) -> None:
        """Wait for what was started."""
        for works in self._held.values():
            for work in works:
                work.result()
