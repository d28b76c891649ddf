"""已登录应用: into which applications a person went in which session, and out of one again while the session goes on."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from calock.core.refusals import Reason, Refusal
from calock.server.grants.ending import end_entries
from calock.server.grants.models import Grant
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session


@dataclass(frozen=True, slots=True)
class Entered:
    """A session's person is in an application; ``at``: since when, or again."""

    session: Session
    application: uuid.UUID
    name: str
    at: datetime


def entered(sessions: Sequence[Session]) -> list[Entered]:
    """Each of these sessions with each application that it entered and did not exit, the newest first."""
    by_key = {session.pk: session for session in sessions}
    live = Grant.objects.filter(session__in=by_key, revoked_at__isnull=True)
    rows = live.values_list("session", "application", "application__name").annotate(at=Max("created_at")).order_by("-at")
    return [Entered(by_key[session], application, name, at) for session, application, name, at in rows]


def exit_application(*, session: Session, application: uuid.UUID, context: RequestContext) -> None:
    """End what a session's person entered in one application, and tell it.

    Raises:
        Refusal: NOT_FOUND when they are not in there.
    """
    with transaction.atomic():
        grants = Grant.objects.filter(session=session, application=application, revoked_at__isnull=True)
        if not end_entries(grants, why="its person exited", context=context):
            raise Refusal(Reason.NOT_FOUND, "this session is not in that application")
