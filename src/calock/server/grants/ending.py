"""When a session ends, for whatever reason, every application that it entered is told once: a message in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from calock.server.applications.models import Application
from calock.server.egress.purposes import Purpose, register_purpose
from calock.server.grants.levels import acr
from calock.server.grants.models import Grant
from calock.server.grants.services import revoke_grant
from calock.server.outbox.services import put
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions, idle_limit, on_end, on_forget
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.tools.addresses import Endpoint, endpoint_of

EGRESS = "application-logout"
SCHEDULE = (timedelta(seconds=10), timedelta(seconds=60))
"""Three tries in less than two minutes: what ends later ended at the application by itself."""
TOLD = ("oidc", "cas")
"""Protocols by which an application can be told; the gate asks at each request."""
LOGOUT = ".logout"
"""How the kinds of these messages end, after the protocol's name."""


def tell_applications(sessions: Sequence[str]) -> None:
    """Leave a message for each application that these sessions entered, inside the transaction that ended them."""
    _tell(Grant.objects.filter(session__in=sessions).select_related("application").order_by("created_at"))


def _tell(grants: Iterable[Grant]) -> None:
    """One message for each session and application, however often it entered; of CAS, which knows no sessions, for each ticket."""
    by_session = {
        (grant.application_id, grant.pk if grant.protocol == "cas" else grant.session_id): grant
        for grant in grants
        if grant.protocol in TOLD and grant.application.content.get("logout_url")
    }
    for grant in by_session.values():
        put(grant.protocol + LOGOUT, key=str(grant.pk), body={"grant": str(grant.pk)})


def end_lock_entries(sessions: Sequence[str]) -> None:
    """Of sessions that go on without their lock: end what they entered by it, and tell those applications."""
    grants = Grant.objects.filter(session__in=sessions, acr=acr("lock"), revoked_at__isnull=True)
    end_entries(grants, why="its lock counts no longer")


def end_entries(grants: QuerySet[Grant], *, why: str, context: RequestContext | None = None) -> int:
    """End entries of sessions that go on, and tell their applications, in the caller's transaction; how many there were."""
    found = list(grants.select_related("application").order_by("created_at"))
    for grant in found:
        revoke_grant(grant, why=why, at=clock.now(), context=context)
    _tell(found)
    return len(found)


def end_idle_sessions(*, at: datetime) -> int:
    """End sessions that entered applications and were not used for too long, or are over: nobody else would notice. For the job."""
    live = Session.objects.filter(ended_at__isnull=True, grants__isnull=False)
    idle = Q()
    for code, profile in sites().items():
        idle |= Q(site=code, last_seen_at__lt=at - idle_limit(profile.idle_minutes, operator=False))
    over = end_sessions(live.filter(expires_at__lte=at), reason="expired", at=at)
    return over + end_sessions(live.filter(idle), reason="idle", at=at)


def logout_endpoints() -> Mapping[Endpoint, bool]:
    """Where applications hear of it: what two operators registered, and nothing that somebody else wrote."""
    found: dict[Endpoint, bool] = {}
    for row in Application.objects.all():
        if row.is_intact() and row.wish.logout_url:
            place = endpoint_of(row.wish.logout_url)
            found[place] = found.get(place, False) or row.wish.logout_private
    return found


def listen() -> None:
    """At start-up."""
    on_end(tell_applications)
    on_forget(end_lock_entries)
    register_purpose(Purpose(EGRESS, "应用退出通知", logout_endpoints))
