"""Verbs of accounts. Each owns its transaction and writes its audit row in it."""

from __future__ import annotations

import re
import secrets

from django.db import IntegrityError, transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.passwords import Attempt
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record, record_refusal
from calock.server.organisations.models import Organisation
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_account
from calock.server.tools import throttle

OWNER_ONLY = "only the server's owner creates operators and resets their passwords: an operator who could would hold both votes"


def create_account(
    *,
    username: str,
    name: str,
    role: Role,
    organisation: Organisation | None = None,
    password: str | None = None,
    by: Account | None = None,
    context: RequestContext | None = None,
) -> tuple[Account, str]:
    """A new account and its first password, which must be changed at the first login. ``by`` None is the server's owner.

    Raises:
        Refusal: REQUEST_MALFORMED for a name that is taken or not one line of text, NOT_ALLOWED, PASSWORD_UNACCEPTABLE.
    """
    if by is not None and not by.is_operator:
        raise Refusal(Reason.NOT_ALLOWED, "only operators create accounts")
    if by is not None and role == Role.OPERATOR:
        raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
    if not re.fullmatch(r"[\w.@+-]{2,64}", username) or not name.strip() or clean(name, 64) != name:
        raise Refusal(Reason.REQUEST_MALFORMED, "account: 2 to 64 letters, digits and .@+-_ ; name: at most 64 characters")
    account = Account(username=username, name=name, role=role, organisation=organisation, must_change_password=True)
    first = passwords.require_acceptable(account, password or secrets.token_urlsafe(12))
    account.set_password(first)
    with transaction.atomic():
        try:
            with transaction.atomic():
                account.save(force_insert=True)
        except IntegrityError as error:  # two at once: the unique constraint decides
            if not Account.objects.filter(username=username).exists():
                raise
            raise Refusal(Reason.REQUEST_MALFORMED, "this account exists") from error
        place = organisation.pk if organisation else None
        details = {"role": str(role)}
        record(Event.ACCOUNT_CREATED, context=context, actor=by, subject=account.pk, organisation=place, details=details)
    return account, first


def change_own_password(*, account: Account, old: str, new: str, context: RequestContext) -> None:
    """Set a new password; every other session of the account ends.

    Raises:
        Refusal: CREDENTIALS_WRONG for the old one, PASSWORD_UNACCEPTABLE, TOO_MANY_ATTEMPTS, SERVER_BUSY.
    """
    throttle.refuse_when_too_many("password", context.ip)
    try:
        prove_by_password(account, old, context=context)
        chosen = passwords.require_acceptable(account, new)
    except Refusal as refusal:
        record_refusal(Event.ACCOUNT_PASSWORD_REFUSED, refusal, context=context, actor=account, subject=account.pk)
        raise
    with transaction.atomic():
        _store_password(account, chosen, context=context, must_change=False)
        record(Event.ACCOUNT_PASSWORD_CHANGED, context=context, actor=account, subject=account.pk)


def prove_by_password(account: Account, password: str, *, context: RequestContext) -> None:
    """Check the password of an account that is logged in.

    Raises:
        Refusal: CREDENTIALS_WRONG (also while locked out), SERVER_BUSY.
    """
    attempt = passwords.try_password(account, passwords.normalised(password), context=context, by=account)
    if attempt == Attempt.RIGHT:
        return
    throttle.count_failure("password", context.ip)
    raise Refusal(Reason.CREDENTIALS_WRONG, f"password {attempt}")


def _store_password(account: Account, password: str, *, context: RequestContext | None, must_change: bool) -> None:
    at = context.at if context else timezone.now()
    account.set_password(password)
    account.must_change_password = must_change
    account.password_changed_at = at
    account.failed_passwords = 0
    account.password_locked_until = None
    fields = ["password", "must_change_password", "password_changed_at", "failed_passwords", "password_locked_until"]
    account.save(update_fields=fields)
    end_sessions_of_account(account_id=account.pk, reason="password changed", at=at, but=context.session if context else None)


def _require_authority(by: Account, member: Account) -> None:
    """Operators have authority over every account but their own, administrators over their organisation's ordinary members.

    Raises:
        Refusal: NOT_FOUND for an account outside that authority, so that a guessed id does not tell whether it exists.
    """
    if by.is_operator and by.pk != member.pk:
        return
    same = by.organisation_id is not None and by.organisation_id == member.organisation_id
    if by.role == Role.ORGANISATION_ADMIN and same and member.role == Role.MEMBER:
        return
    raise Refusal(Reason.NOT_FOUND, "outside this account's authority")


def _require_may_reset(by: Account, member: Account) -> None:
    _require_authority(by, member)
    if member.is_operator:
        raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)


def reset_password(*, member: Account, password: str, by: Account | None, context: RequestContext | None) -> None:
    """Set a member's password, to be changed at the next login. All their sessions end. ``by`` None is the server's owner.

    Raises:
        Refusal: NOT_FOUND, NOT_ALLOWED for another operator's password, PASSWORD_UNACCEPTABLE.
    """
    try:
        if by is not None:
            _require_may_reset(by, member)
        chosen = passwords.require_acceptable(member, password)
    except Refusal as refusal:
        record_refusal(Event.ACCOUNT_PASSWORD_REFUSED, refusal, context=context, actor=by, subject=member.pk)
        raise
    with transaction.atomic():
        _store_password(member, chosen, context=context, must_change=True)
        record(Event.ACCOUNT_PASSWORD_RESET, context=context, actor=by, subject=member.pk, organisation=member.organisation_id)


def set_account_state(*, member: Account, state: AccountState, by: Account, context: RequestContext) -> None:
    """Disable or enable an account. Disabling ends every session at once; its locks stay reserved for it.

    Raises:
        Refusal: NOT_FOUND.
    """
    event = Event.ACCOUNT_ENABLED if state == AccountState.ACTIVE else Event.ACCOUNT_DISABLED
    try:
        _require_authority(by, member)
    except Refusal as refusal:
        record_refusal(event, refusal, context=context, actor=by, subject=member.pk)
        raise
    with transaction.atomic():
        Account.objects.filter(pk=member.pk).update(state=state)
        member.state = state
        if state != AccountState.ACTIVE:
            end_sessions_of_account(account_id=member.pk, reason="account disabled", at=context.at)
        record(event, context=context, actor=by, subject=member.pk, organisation=member.organisation_id)
