"""Notice plug and unplug: the library's own blocking wait in a thread, else polling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from calock.agent.backends.skf.errors import OK
from calock.agent.backends.skf.library import SkfLibrary
from calock.core.refusals import Refusal

_EVENTS: Final = (1, 2)  # plugged in, pulled out
_AT_ONCE: Final = 0.05
"""Seconds. A wait that comes back sooner without an event is no wait; polling takes its place."""
_STORM: Final = 16
"""So many events each at once after the last are a library that repeats itself, not a person with locks."""
_TRIAL: Final = 0.2
_POLL: Final = 1.0


class Watch:
    """Calls ``notify`` at each change. Stops for good when the library cannot wait and ``start`` has said so."""

    def __init__(self, library: SkfLibrary, fingerprint: Callable[[], str], notify: Callable[[], None]) -> None:
        self._library = library
        self._fingerprint = fingerprint
        self._notify = notify
        self._ending = threading.Event()
        self._useless = threading.Event()
        self._thread = threading.Thread(target=self._run, name="skf-events", daemon=True)
        self._started = False

    def start(self) -> bool:
        """Begin to wait; False when the library turns out at once not to support waiting (the caller then polls)."""
        if not self._library.binding.has("WaitForDevEvent"):
            return False
        self._thread.start()
        self._started = not self._useless.wait(_TRIAL)
        if not self._started:
            self._ending.set()
        return self._started

    def stop(self) -> None:
        """End the wait. The thread is a daemon: a library that ignores the cancellation cannot keep the process."""
        self._ending.set()
        self._library.cancel_wait()
        self._thread.join(timeout=_POLL)

    def _run(self) -> None:
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
                break
        self._useless.set()
        self._poll()

    def _poll(self) -> None:
        before = self._state()
        while not self._ending.wait(_POLL):
            now = self._state()
            if now != before:
                before = now
                self._notify()

    def _state(self) -> str:
        try:
            return self._fingerprint()
        except Refusal as refusal:
            return f"!{refusal.reason}"  # unreadable is a state of its own
