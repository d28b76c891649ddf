"""The server's processes hear that they are told to end from their first moment on."""

from __future__ import annotations

import os
import signal

_TOLD = (signal.SIGTERM,)


def _wait_for_it() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)


def _hear_it() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)


def _end_by_it() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _hear_it()


def hear_from_birth() -> None:
    """From now on SIGTERM ends a forked process until it has a handler of its own.

    A worker is forked with its server's handler, which only wakes the server's own main loop. One that was told to end while it
    loaded the application, a second or more, took that for heard, and the server waited for it until it killed it.
    """
    os.register_at_fork(before=_wait_for_it, after_in_parent=_hear_it, after_in_child=_end_by_it)
