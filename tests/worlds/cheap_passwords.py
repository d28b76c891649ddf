"""How the tests keep passwords: in the same form, made in a moment. What production spends is held in tests/server/accounts."""

from __future__ import annotations

from calock.server.accounts.hashers import PasswordHasher


class Hasher(PasswordHasher):
    time_cost = 1
    memory_cost = 8
