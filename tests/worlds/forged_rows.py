"""What somebody does who writes into the database, and what the others notice of it: nothing."""

from __future__ import annotations

import uuid

from django.db import connection
from worlds.browser import Browser


def sql(statement: str, *values: object) -> None:
    """As somebody does who has the database and not the server's secret."""
    kept = [value.hex if isinstance(value, uuid.UUID) and connection.vendor == "sqlite" else value for value in values]
    with connection.cursor() as cursor:
        cursor.execute(statement, kept)
        assert cursor.rowcount >= 1


def unharmed(world) -> None:
    """The others go on logging in."""
    assert Browser().log_in(world.lock).status_code == 200
