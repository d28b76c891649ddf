"""Letting people into applications and ending that again; requests that wait for a person."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Model

from calock.core.refusals import Reason, Refusal
from calock.server.applications.catalogue import kind_of
from calock.server.applications.models import Application, ApplicationState
from calock.server.audit.events import Event
from calock.server.audit.services import build, record
from calock.server.grants.decide import Enter
from calock.server.grants.levels import LEVELS, acr, level_of, methods_of, proofs_of
from calock.server.grants.models import Bearer, Grant, PendingRequest
from calock.server.grants.store import when_unused, while_live
from calock.server.locks.liveness import limit_of, why_over
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.tools import throttle
from calock.server.tools.insertion import insert_together

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


def new_grant(
    *, application: Application, session: Session, entered: Enter, protocol: str, scope: str = "", context: RequestContext
) -> Grant:
    """What is written of a person who enters an application, unsaved."""
    grant = Grant(
        application=application,
        account_id=session.account_id,
        session=session,
        protocol=protocol,
        issuer=context.origin,
        scope=scope,
        acr=acr(entered.level),
        amr=methods_of(session, proofs_of(session)),
        auth_time=entered.proved_at,
        created_at=context.at,
    )
    grant.seal()
    return grant


def open_grant(grant: Grant, shown: Bearer, *, answers: PendingRequest | None, context: RequestContext) -> None:
    """Let a person in: write ``grant`` with what they show for it, and end the request that this answers. All or nothing.

    Raises:
        Refusal: SESSION_ENDED: it did so meanwhile. APPLICATION_REQUEST_OVER: the request was answered already.
    """
    session, application = grant.session, grant.application
    row = build(
        Event.APPLICATION_ENTERED,
        context=context,
        actor=session.account_id,
        subject=application.pk,
        organisation=session.account.organisation_id,
        lock=session.proved_lock_id if grant.acr == acr("lock") else session.lock_id,
        details={"client": application.client_id, "protocol": grant.protocol, "acr": grant.acr},
    )
    with nullcontext() if answers is None else transaction.atomic():
        if answers is not None and not PendingRequest.objects.filter(pk=answers.pk).delete()[0]:
            raise Refusal(Reason.APPLICATION_REQUEST_OVER, "answered already")
        if not insert_together([grant, row, shown], provided=while_live(session)):
            raise Refusal(Reason.SESSION_ENDED, "ended meanwhile")


def is_live(grant: Grant, *, at: datetime) -> bool:
    """Whether a grant, as :class:`store.Shown` finds it, its session and its application are still good.

    A grant that a lock opened is good while its session holds what the lock proved: no longer when the lock is lost or revoked.
    What operators narrow counts for those who are inside as well.
    """
    application, session, level = grant.application, grant.session, level_of(grant.acr)
    if grant.revoked_at is not None or not grant.is_intact():
        return False
    try:
        wish = application.wish
    except Refusal:
        return False
    if application.state != ApplicationState.ENABLED:
        return False
    if why_over(session, at, limit_of(session)) or level not in proofs_of(session).levels:
        return False
    if kind_of(session.account) not in wish.audience or grant.protocol not in wish.protocols:
        return False
    return not wish.require_level or LEVELS.index(level) >= LEVELS.index(wish.require_level)


def spend(shown: Bearer, *, why: str, at: datetime, along: Sequence[Model] = ()) -> bool:
    """Use up what is good once, and write ``along`` with that. False when it was used before: all of its grant is revoked.

    ``why``: what is said of that then.
    """
    if insert_together(along, provided=when_unused(shown, at=at)):
        return True
    revoke_grant(shown.grant, why=why, at=at)
    return False


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
