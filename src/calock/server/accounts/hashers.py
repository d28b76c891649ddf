"""How passwords are kept: Argon2id (RFC 9106) with the parameters OWASP names for a login service."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class PasswordHasher(Argon2PasswordHasher):
    """19 MiB, 2 passes, 1 lane: about 20 ms of one core; with Django's 100 MiB a few parallel checks fill the memory."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
