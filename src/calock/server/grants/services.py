"""Letting people into applications and ending that again; requests that wait for a person."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.applications.catalogue import kind_of
from calock.server.applications.models import Application
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.grants.decide import Enter
from calock.server.grants.levels import LEVELS, acr, level_of, methods_of, proofs_of
from calock.server.grants.models import Grant, PendingRequest
from calock.server.locks.liveness import limit_of, sessions_with_binding, why_over
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.tools import throttle

WAIT = timedelta(minutes=30)
"""How long a person may take to prove who they are."""


def wait_for_person(
    application: Application, protocol: str, parameters: dict[str, list[str]], *, context: RequestContext
) -> PendingRequest:
    """Keep a request while its person logs in; requests that nobody came back for go.

    Raises:
        Refusal: TOO_MANY_ATTEMPTS: each is a row, and anybody can ask for one. APPLICATION_REQUEST_WRONG: a NUL, which no
            database keeps.
    """
    if any("\0" in text for name, values in parameters.items() for text in (name, *values)):
        raise Refusal(Reason.APPLICATION_REQUEST_WRONG, "NUL")
    throttle.refuse_when_too_many("application", context.sender)
    throttle.count_failure("application", context.sender)
    at = context.at
    PendingRequest.objects.filter(created_at__lt=at - WAIT).delete()
    return PendingRequest.objects.create(application=application, protocol=protocol, parameters=parameters, created_at=at)


def pending_request(key: uuid.UUID, protocol: str, *, site: str, at: datetime) -> PendingRequest:
    """A request that waits.

    Raises:
        Refusal: APPLICATION_REQUEST_OVER for one that was answered, is too old, or of another site.
    """
    rows = PendingRequest.objects.select_related("application").filter(application__site=site, protocol=protocol)
    found = rows.filter(pk=key, created_at__gt=at - WAIT).first()
    if found is None:
        raise Refusal(Reason.APPLICATION_REQUEST_OVER, "no such request waits")
    return found


def open_grant(
    *, application: Application, session: Session, entered: Enter, protocol: str, scope: str = "", context: RequestContext
) -> Grant:
    """Note that a person entered an application, inside the caller's transaction.

    Raises:
        Refusal: SESSION_ENDED: it did so meanwhile; the row stays locked, so that whoever ends it now finds the grant.
    """
    live = Session.objects.select_for_update(no_key=True).filter(pk=session.pk, ended_at__isnull=True)
    if not live.exists():
        raise Refusal(Reason.SESSION_ENDED, "ended meanwhile")
    grant = Grant(
        application=application,
        account_id=session.account_id,
        session=session,
        protocol=protocol,
        issuer=context.origin,
        scope=scope,
        acr=acr(entered.level),
        amr=methods_of(session),
        auth_time=entered.proved_at,
        created_at=context.at,
    )
    grant.seal()
    grant.save(force_insert=True)
    record(
        Event.APPLICATION_ENTERED,
        context=context,
        actor=session.account,
        subject=application.pk,
        lock=session.proved_lock_id if entered.level == "lock" else session.lock_id,
        details={"client": application.client_id, "protocol": protocol, "acr": grant.acr},
    )
    return grant


def live_grant(grant_id: uuid.UUID, *, at: datetime) -> Grant | None:
    """The grant with everything about its person, when it, its session and its application are still good.

    A grant that a lock opened is good while its session holds what the lock proved: no longer when the lock is lost or revoked.
    What operators narrow counts for those who are inside as well.
    """
    grant: Grant | None = Grant.objects.select_related("application").filter(pk=grant_id, revoked_at__isnull=True).first()
    if grant is None or not grant.is_intact() or grant.application.state != "enabled" or not grant.application.is_intact():
        return None
    session = sessions_with_binding().filter(pk=grant.session_id).first()
    if session is None or why_over(session, at, limit_of(session)) or level_of(grant.acr) not in proofs_of(session).levels:
        return None
    wish, level = grant.application.wish, level_of(grant.acr)
    if kind_of(session.account) not in wish.audience or grant.protocol not in wish.protocols:
        return None
    if wish.require_level and LEVELS.index(level) < LEVELS.index(wish.require_level):
        return None
    grant.session, grant.account = session, session.account
    return grant


def revoke_grant(grant: Grant, *, why: str, at: datetime, context: RequestContext | None = None) -> None:
    """End one entry: everything that was issued for it stops working. ``context``: of the person who wished it."""
    with transaction.atomic():
        if Grant.objects.filter(pk=grant.pk, revoked_at__isnull=True).update(revoked_at=at):
            record(
                Event.APPLICATION_EXITED,
                context=context,
                actor=context.session.account if context is not None and context.session is not None else None,
                subject=grant.application_id,
                details={"why": why, "account": str(grant.account_id)},
            )


def destination_of(path: str) -> str:
    """The registered address of an application to whose host a path of ours leads on, when a request waits behind it; else empty.

    For pages whose form ends there, after redirects. Nothing of what the request itself says is handed back.
    """
    head, _, key = path.partition("/continue/")
    try:
        rows = PendingRequest.objects.select_related("application")
        found = rows.filter(pk=uuid.UUID(key)).first() if head in ("/oidc", "/cas", "/auth") else None
    except ValueError:
        return ""
    if found is None or found.application.state != "enabled" or not found.application.is_intact():
        return ""
    wanted = str((found.parameters.get("redirect_uri") or found.parameters.get("service") or [""])[0])
    wish = found.application.wish
    registered = (*wish.redirect_uris, *wish.cas_services, *wish.gate_urls)
    return next((address for address in registered if wanted.startswith("/".join(address.split("/")[:3]) + "/")), "")
