"""How passwords are kept: Argon2id (RFC 9106) with the parameters OWASP names for a login service."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.contrib.auth.hashers import Argon2PasswordHasher

CONCURRENT = 2
"""Hashes at once in one process: each takes 19 MiB and 20 ms of a core, a CA login a hundredth of that."""
GIVES_WAY = 15
"""How much nicer the threads that hash are: they take what logins with locks, pages and the database leave of the cores."""


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads that do nothing but hash. Argon2 runs outside of Python's lock, so nobody waits for one of them."""
    return ThreadPoolExecutor(CONCURRENT, "hashes", initializer=_give_way)


def _give_way() -> None:
    if sys.platform == "linux":  # where a thread has a niceness of its own
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, min(19, os.getpriority(os.PRIO_PROCESS, own) + GIVES_WAY))


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads do not come along


class PasswordHasher(Argon2PasswordHasher):
    """19 MiB, 2 passes, 1 lane: about 20 ms of one core; with Django's 100 MiB a few parallel checks fill the memory."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _threads().submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        return _threads().submit(super().verify, password, encoded).result()
