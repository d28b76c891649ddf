"""What an entry asks of the database: what is shown for a grant, and all that says whether the grant is good, by one look-up."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from django.db.models import QuerySet

from calock.server.grants.models import Bearer
from calock.server.locks.liveness import has_binding
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest
from calock.server.tools.prepared import Prepared, prepared

B = TypeVar("B", bound=Bearer)


class Shown(Generic[B]):
    """One kind of code, token, ticket or pass."""

    def __init__(self, kind: type[B]) -> None:
        def by_digest(shown: Any) -> QuerySet[Any]:
            rows = kind._default_manager.filter(pk=shown)  # noqa: SLF001 - Django's own
            rows = rows.select_related("grant__application", "grant__session__account__organisation")
            return rows.annotate(has_binding=has_binding("grant__session__"))

        self._rows: Prepared[Any] = prepared(by_digest)

    def find(self, text: str) -> B | None:
        """The row of ``text``, when this server wrote it; whether its grant is good is not judged yet."""
        row: B | None = self._rows.first(digest(text))
        if row is None or not row.is_intact():
            return None
        grant, session = row.grant, row.grant.session
        session.has_binding = row.has_binding  # type: ignore[attr-defined]  # where ``liveness`` looks for it
        if grant.account_id == session.account_id:  # as in every grant that this server wrote
            grant.account = session.account
        return row


@prepared
def live_session(session: Any) -> QuerySet[Session, Any]:
    """A session that did not end; it stays locked, so that whoever ends it now finds what is written meanwhile."""
    return Session.objects.select_for_update(no_key=True).filter(pk=session, ended_at__isnull=True).values_list("pk")
