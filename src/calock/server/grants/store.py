"""What an entry asks of the database: what is shown for a grant, and all that says whether the grant is good, by one look-up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import DateTimeField, QuerySet

from calock.server.applications.models import Application
from calock.server.grants.models import Bearer
from calock.server.locks.liveness import has_binding
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest
from calock.server.tools.insertion import Proviso
from calock.server.tools.prepared import Prepared, prepared

B = TypeVar("B", bound=Bearer)


class Shown(Generic[B]):
    """One kind of code, token, ticket or pass."""

    def __init__(self, kind: type[B], more: Callable[[QuerySet[Any, Any]], QuerySet[Any, Any]] = lambda rows: rows) -> None:
        """``more``: annotates the rows with what else is needed of the database when one is shown."""

        def by_digest(shown: Any, *application: str) -> QuerySet[Any, Any]:
            rows = kind._default_manager.filter(pk=shown)  # noqa: SLF001 - Django's own
            rows = rows.select_related("grant__session__account__organisation", *application)
            return more(rows.annotate(has_binding=has_binding("grant__session__")))

        self._rows_alone: Prepared[Any] = prepared(by_digest)
        self._rows: Prepared[Any] = prepared(lambda shown: by_digest(shown, "grant__application"))

    def find(self, text: str, *, of: Application | None = None) -> B | None:
        """The row of ``text``, when this server wrote it; whether its grant is good is not judged yet.

        ``of``: the application that shows it, and was looked up for this request; another's is not found.
        """
        row: B | None = (self._rows if of is None else self._rows_alone).first(digest(text))
        if row is None or not row.is_intact():
            return None
        grant, session = row.grant, row.grant.session
        if of is not None:
            if grant.application_id != of.pk:
                return None
            grant.application = of
        session.has_binding = row.has_binding  # type: ignore[attr-defined]  # where ``liveness`` looks for it
        if grant.account_id == session.account_id:  # as in every grant that this server wrote
            grant.account = session.account
        return row


def while_live(session: Session) -> Proviso:
    """The session did not end. It stays locked, so that whoever ends it now finds what is written."""
    statement = "SELECT 1 FROM calock_sessions_session WHERE digest = %s AND ended_at IS NULL"
    return Proviso(statement, [session.pk], "FOR NO KEY UPDATE")


def when_unused(shown: Bearer, *, at: datetime) -> Proviso:
    """Nobody used this up yet; now it is."""
    meta = shown._meta  # noqa: SLF001 - Django's documented interface, whatever its name
    statement = f'UPDATE "{meta.db_table}" SET used_at = %s WHERE digest = %s AND used_at IS NULL'  # noqa: S608 - of our own models
    return Proviso(statement, [DateTimeField().get_db_prep_save(at, connection), shown.pk], "RETURNING 1")
