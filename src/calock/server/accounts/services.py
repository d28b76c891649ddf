"""Verbs of passwords. Each owns its transaction and writes its audit row in it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.authority import OWNER_ONLY, acting, require_authority
from calock.server.accounts.calendar_links import drop_link
from calock.server.accounts.codes import issue_code, lock_of_password, store_password
from calock.server.accounts.models import Account, Role
from calock.server.accounts.password_tries import counts_of
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record, record_refusal
from calock.server.contacts.models import Contact
from calock.server.contacts.services import REACH
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import Own, notify
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions_of_account, is_fresh_by_lock
from calock.server.tools import throttle


def change_own_password(*, account: Account, old: str, new: str, context: RequestContext) -> None:
    """Set a new password; every other session of the account ends, and the person is told.

    ``old`` may be empty where the lock does instead of it (``may_choose_without_old``): somebody who forgot the password.

    Raises:
        Refusal: STEP_UP_FAILED and PASSWORD_TRIES_USED_UP for the old one, PASSWORD_UNACCEPTABLE, TOO_MANY_ATTEMPTS,
            SERVER_BUSY.
    """
    throttle.refuse_when_too_many("password", context.sender)
    try:
        by_lock = not old and may_choose_without_old(account, context.session, at=context.at)
        if not by_lock:
            prove_by_password(account, old, context=context)
        chosen = passwords.require_acceptable(account, new)
        _store_own(account, chosen, by_lock=by_lock, context=context)
    except Refusal as refusal:
        record_refusal(Event.ACCOUNT_PASSWORD_REFUSED, refusal, context=context, actor=account, subject=account.pk)
        raise


def _store_own(account: Account, chosen: str, *, by_lock: bool, context: RequestContext) -> None:
    """Store it, if what was proved still holds: judging takes a while, and a report of the lock or a reset may come between.

    Raises:
        Refusal: SESSION_ENDED, STEP_UP_REQUIRED.
    """
    with transaction.atomic():
        now = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        assert context.session is not None
        session = Session.objects.get(pk=context.session.pk)
        if session.ended_at is not None or not now.is_active:
            raise Refusal(Reason.SESSION_ENDED, "ended meanwhile")
        if by_lock and not may_choose_without_old(now, session, at=context.at):
            raise Refusal(Reason.STEP_UP_REQUIRED, "the lock proves nothing any more")
        if not by_lock and now.password != account.password:
            raise Refusal(Reason.SESSION_ENDED, "the password was changed meanwhile")
        # what follows from a password that a lock chose stands on that lock as well
        lock = session.proved_lock_id if by_lock else lock_of_password(now, at=context.at)
        store_password(now, chosen, context=context, lock=lock)
        how = {"how": "lock" if by_lock else "password"}
        row = record(Event.ACCOUNT_PASSWORD_CHANGED, context=context, actor=account, subject=account.pk, details=how)
        notify(NoticeKind.PASSWORD_CHANGED, account=account.pk, by=account, row=row, own=Own.ALOUD)


def may_choose_without_old(account: Account, session: Session | None, *, at: datetime) -> bool:
    """Whether the person proved themselves by their lock in the last minutes. Operators go by codes of other operators."""
    return session is not None and account.role != Role.OPERATOR and is_fresh_by_lock(session, at=at)


def prove_by_password(account: Account, password: str, *, context: RequestContext) -> None:
    """Check the password of an account that is logged in.

    Raises:
        Refusal: STEP_UP_FAILED with ``left``, the tries that are left; PASSWORD_TRIES_USED_UP, SERVER_BUSY.
    """
    try:
        passwords.require_right(account.username, account, passwords.normalised(password), context=context, by=account)
    except Refusal as refusal:
        throttle.count_failure("password", context.sender)
        if refusal.reason != Reason.CREDENTIALS_WRONG:
            raise
        own = counts_of(account.username, account, context, proof=True)[0]
        left, how = {"left": own.tries_left(context.at)}, {"how": "password"}
        raise Refusal(Reason.STEP_UP_FAILED, refusal.detail, left, about=how) from refusal


def _require_may_reset(by: Account, member: Account, *, at: datetime) -> None:
    require_authority(by, member)
    if member.role == Role.OPERATOR:
        raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
    if by.is_operator and not Contact.objects.verified().filter(account=member).exists() and _took_contacts(by, member, at=at):
        raise Refusal(Reason.CONTACTS_TAKEN, "nobody would be told, by this operator's own act")


def _took_contacts(by: Account, member: Account, *, at: datetime) -> bool:
    """Whether ``by`` took a verified contact of ``member`` away in the last month, itself or with a lock that was reported lost."""
    taken = Q(event=Event.CONTACT_REMOVED, details__verified=True)
    taken |= Q(event=Event.BINDING_SUSPENDED, details__has_key="contacts_ended")
    found: bool = AuditEvent.objects.filter(taken, actor=by.pk, subject=member.pk, at__gt=at - REACH).exists()
    return found


def reset_password(*, member: Account, by: Account | None, context: RequestContext | None) -> str:
    """Void the password of ``member`` and end their sessions; the one-time code with which they choose another.

    ``by`` learns the code to hand it over, never a password, and ``member`` is told. ``by`` None is the server's owner.

    Raises:
        Refusal: NOT_FOUND, NOT_ALLOWED for an operator's password; CONTACTS_TAKEN.
    """
    at = context.at if context else timezone.now()
    try:
        with transaction.atomic():
            actor = acting(by) if by else None
            account = Account.objects.select_for_update(no_key=True).get(pk=member.pk)
            if actor is not None:
                _require_may_reset(actor, account, at=at)
            return _reset(account, by=by, at=at, context=context)
    except Refusal as refusal:
        record_refusal(Event.ACCOUNT_PASSWORD_REFUSED, refusal, context=context, actor=by, subject=member.pk)
        raise


def _reset(account: Account, *, by: Account | None, at: datetime, context: RequestContext | None) -> str:
    account.set_unusable_password()
    account.password_reset_at = at
    account.save(update_fields=["password", "password_reset_at"])
    end_sessions_of_account(account_id=account.pk, reason="password reset", at=at)
    drop_link(account, context=context)
    code = issue_code(account, by=by, at=at)
    place = account.organisation_id
    row = record(Event.ACCOUNT_PASSWORD_RESET, context=context, actor=by, subject=account.pk, organisation=place)
    notify(NoticeKind.PASSWORD_RESET, account=account.pk, by=by, row=row)
    return code
