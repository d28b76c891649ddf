"""Whether a session may be used now: what every request asks, and every application on behalf of its person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from calock.server.locks.models import Binding
from calock.server.organisations.models import OrganisationState
from calock.server.sessions.models import Session
from calock.server.sessions.services import idle_limit
from calock.server.sites.registry import sites
from calock.server.tools.prepared import prepared


def has_binding(session: str = "") -> Exists:
    """Whether the binding lives that opened a session. ``session``: the way to it, in a query about something else."""
    # a login and the end of its binding may cross each other: a lock session counts only while the binding lives that it found,
    # not when the same account binds the lock anew, and only when the lock was not reported lost since
    lock, account, began = (OuterRef(session + name) for name in ("lock", "account", "created_at"))
    binding = Binding.objects.live().filter(
        Q(resumed_at__isnull=True) | Q(resumed_at__lte=began),
        suspended_at__isnull=True, lock=lock, account=account, bound_at__lte=began,
    )  # fmt: skip
    return Exists(binding)


def sessions_with_binding() -> QuerySet[Session]:
    """Sessions with account and organisation, and whether the binding that opened them lives."""
    return Session.objects.select_related("account__organisation").annotate(has_binding=has_binding())


@prepared
def session_of_cookie(site: Any, shown: Any) -> QuerySet[Session]:
    """Of :func:`sessions_with_binding` on ``site`` the one whose cookie has the digest ``shown``: asked by every request."""
    return sessions_with_binding().filter(Q(digest=shown, token=None) | Q(token=shown), site=site)


def limit_of(session: Session) -> timedelta:
    """How long this session may go unused."""
    profile = sites().get(session.site)
    return idle_limit(profile.idle_minutes if profile else 1, operator=session.account.is_operator)


def why_over(session: Session, now: datetime, limit: timedelta) -> str:
    """Why this session, one of :func:`sessions_with_binding`, may not be used now; empty when it may.

    ``limit``: how long it may go unused.
    """
    if session.ended_at is not None:
        return session.end_reason or "ended"
    account = session.account
    organisation = account.organisation
    has_binding: bool = session.has_binding  # type: ignore[attr-defined]  # annotated
    rules = (
        ("expired", now >= session.expires_at),
        ("idle", now - session.last_seen_at > limit),
        ("record damaged", not account.is_believed()),
        ("account disabled", not account.is_active or _is_older(session, account.enabled_at)),
        ("organisation disabled", organisation is not None and organisation.state != OrganisationState.ACTIVE),
        ("organisation disabled", organisation is not None and _is_older(session, organisation.enabled_at)),
        ("lock unbound", session.lock_id is not None and not has_binding),
    )
    return next((why for why, over in rules if over), "")


def _is_older(session: Session, enabled_at: datetime | None) -> bool:
    """A login that crosses 停用 and 启用 may write its session behind both."""
    return enabled_at is not None and session.created_at < enabled_at
