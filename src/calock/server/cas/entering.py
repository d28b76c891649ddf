"""From what a browser was sent here for to a ticket, or to the page on which its person proves who they are first.

Of CAS, and of the gate (``server/gate``), which sends people back by tickets too.
"""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from django.http import HttpResponseRedirect
from django.urls import reverse

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.applications.catalogue import require_meant_for
from calock.server.applications.models import Application
from calock.server.cas.models import ServiceTicket
from calock.server.grants.decide import Ask, Enter, LogIn, LoginRequired, decide
from calock.server.grants.levels import proofs_of
from calock.server.grants.models import PendingRequest
from calock.server.grants.refused import note_refused
from calock.server.grants.services import new_grant, open_grant, wait_for_person
from calock.server.locks.password_rules import has_lock
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session

LIFE = timedelta(seconds=10)
_LETTERS = string.ascii_letters + string.digits
"""Clause 3.7 allows a hyphen too, but no underscore: one sends mod_auth_cas round in circles."""
_LENGTH = 43
"""256 bits of these letters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket that somebody asks for. ``parameters``: what must be known to go on when its person comes back."""

    protocol: str
    application: Application
    service: str
    parameters: dict[str, list[str]]
    ask: Ask
    renewed: bool = False


def ticket_or_page(wanted: Wanted, *, pending: PendingRequest | None, context: RequestContext) -> str | HttpResponseRedirect:
    """The ticket, empty when there is none and nobody may be asked; else where the person goes. ``pending``: what waited for them.

    Raises:
        Refusal: APPLICATION_NOT_FOR_YOU, LOCK_NEEDED_HERE, and as ``open_grant`` and ``wait_for_person``.
    """
    session, application = context.session, wanted.application
    decision = decide(wanted.ask, proofs_of(session) if session is not None else None)
    if isinstance(decision, LoginRequired):
        return ""
    page, more = reverse("portal:login"), dict[str, str]()
    if not isinstance(decision, LogIn):
        assert session is not None
        _require_may(application, session.account, needs_lock=decision.level == "lock", context=context)
        if isinstance(decision, Enter):
            return _ticket(wanted, session, decision, pending, context)
        page, more = reverse("portal:confirm"), {"by": decision.level}
    pending = pending or wait_for_person(application, wanted.protocol, wanted.parameters, context=context)
    back = reverse(f"{wanted.protocol}:continue", args=[pending.pk])
    return HttpResponseRedirect(f"{page}?{urlencode({'next': back, **more})}")


def _require_may(application: Application, account: Account, *, needs_lock: bool, context: RequestContext) -> None:
    """Raise APPLICATION_NOT_FOR_YOU or LOCK_NEEDED_HERE, and write it down for whoever connects the application."""
    try:
        require_meant_for(account, application.wish)
        if needs_lock and not has_lock(account):
            raise Refusal(Reason.LOCK_NEEDED_HERE, "no lock is bound to the account")  # noqa: TRY301
    except Refusal as refusal:
        note_refused(application, refusal, context=context)
        raise


def _ticket(wanted: Wanted, session: Session, entered: Enter, pending: PendingRequest | None, context: RequestContext) -> str:
    ticket = "ST-" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    grant = new_grant(application=wanted.application, session=session, entered=entered, protocol=wanted.protocol, context=context)
    row = ServiceTicket.new(
        ticket, ticket=ticket, grant=grant, service=wanted.service, renewed=wanted.renewed, expires_at=context.at + LIFE
    )
    open_grant(grant, row, answers=pending, context=context)
    return ticket
