"""What keeps a command from working and is the operator's to mend: one line each. Everything else deserves its traceback."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError

from calock.server.process.config import ConfigError
from calock.wire.folders import DefinitionError

MENDABLE = (ConfigError, DefinitionError, ImproperlyConfigured, DatabaseError)
_NOT_THERE = ("42P01", "42703")
"""PostgreSQL's codes for a table and for a column that it does not know."""


def line_for(error: Exception) -> str | None:
    """The line; None for an error of the database that is none of the operator's."""
    text = " ".join(str(error).split())
    if not isinstance(error, DatabaseError):
        return text
    if getattr(error.__cause__, "sqlstate", "") in _NOT_THERE or text.startswith(("no such table", "no such column")):
        what = str(error).partition("\n")[0]  # PostgreSQL adds the statement
        return f"the database was not made by this version ({what}): calock manage migrate, or calock serve, does that"
    unusable = isinstance(error, OperationalError) or type(error) is DatabaseError  # unreachable, locked, no database at all
    if unusable or text.startswith(("invalid connection option", "bad value for")):
        return f"the database cannot be used: {text}"
    return None
