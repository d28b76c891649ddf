"""Whether the database is what failed. Nothing that a client sends brings that about, and the client may come again."""

from __future__ import annotations

from django.db import InterfaceError, InternalError, OperationalError

READ_ONLY = "25006"
"""SQLSTATE read_only_sql_transaction: the connection led to a standby that takes no writes yet (PostgreSQL, appendix A)."""


def is_outage(error: BaseException | None) -> bool:
    """Away, out of time, out of room, or a standby that has not taken over yet.

    A table or column that is not there is SQLite's OperationalError too, and an error of ours.
    """
    if isinstance(error, InternalError):
        return getattr(error.__cause__, "sqlstate", "") == READ_ONLY
    away = isinstance(error, (OperationalError, InterfaceError))
    return away and not str(error).startswith(("no such table", "no such column"))
