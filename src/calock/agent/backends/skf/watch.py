"""Notice plug and unplug: the library's own blocking wait in one thread, and always a look at the device list in another.

Vendors differ: some libraries do not support the wait, some come back from it at once with nothing, some block and never report.
The wait only makes the notice faster; the device list is the source that is relied on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from calock.agent.backends.skf.errors import OK
from calock.agent.backends.skf.library import SkfLibrary
from calock.core.refusals import Refusal

_EVENTS: Final = (1, 2)  # plugged in, pulled out
_LOOK_SECONDS: Final = 1.0
_AT_ONCE: Final = 0.05
"""Seconds. A wait that comes back sooner without an event is no wait."""
_STORM: Final = 16
"""So many events each at once after the last are a library that repeats itself, not a person with locks."""


class DeviceWatch:
    """Calls ``notify`` at each change, from its own threads. They are daemons: a library that hangs cannot keep the process."""

    def __init__(self, library: SkfLibrary, fingerprint: Callable[[], str], notify: Callable[[], None]) -> None:
        self._library = library
        self._fingerprint = fingerprint
        self._notify = notify
        self._ending = threading.Event()
        self._seen = ""
        self._threads = [threading.Thread(target=self._look, name="skf-look", daemon=True)]
        if library.functions.has("WaitForDevEvent"):
            self._threads.append(threading.Thread(target=self._wait, name="skf-events", daemon=True))

    def start(self) -> None:
        self.listing()
        for thread in self._threads:
            thread.start()

    def listing(self) -> None:
        """Called before each listing: changes count from what it tells, also those undone before the next look."""
        self._seen = self._state()

    def stop(self) -> None:
        """End both threads, as far as the library lets them."""
        self._ending.set()
        self._library.cancel_wait()
        for thread in self._threads:
            thread.join(timeout=_LOOK_SECONDS)

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            now = self._state()
            if now != self._seen:
                self._seen = now
                self._notify()

    def _state(self) -> str:
        try:
            return self._fingerprint()
        except Refusal as refusal:
            return f"!{refusal.reason}"  # unreadable is a state of its own

    def _wait(self) -> None:
        quick = 0
        while not self._ending.is_set():
            begun = time.monotonic()
            code, event = self._library.wait_for_event()
            if self._ending.is_set():
                return
            at_once = time.monotonic() - begun < _AT_ONCE
            quick = quick + 1 if at_once else 0
            happened = code == OK and event in _EVENTS
            if happened:
                self._notify()
            if code != OK or (at_once and not happened) or quick > _STORM:
                return  # looking is left
