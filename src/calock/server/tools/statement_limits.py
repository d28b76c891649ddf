"""How long a statement may take in this process, and wait for a lock: nothing waits for the database without end."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

BACKGROUND = 30
"""How many times longer a statement of a background job may take than one that a person waits for."""


def bound_statements(seconds: int) -> None:
    """From now on every new connection of this process gives a statement ``seconds``, and half of that to wait for a lock.

    Not for commands: a migration or a check of the whole trail may take as long as it takes.
    """
    statement, lock, idle = seconds * 1000, seconds * 500, seconds * 2000
    limits = f"SET statement_timeout = {statement}; SET lock_timeout = {lock}; SET idle_in_transaction_session_timeout = {idle}"

    def bound(connection: BaseDatabaseWrapper, **_: object) -> None:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                for limit in limits.split("; "):
                    cursor.execute(limit)

    connection_created.connect(bound, weak=False, dispatch_uid="calock.bound_statements")
