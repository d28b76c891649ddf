"""When a right password does not do: the account goes by its lock alone, or somebody else reset the password lately."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.locks.models import Binding
from calock.server.sessions.models import Session
from calock.server.sites.registry import sites
from calock.server.tools import clock

RESET_HOLD = timedelta(hours=24)
"""The one who had a password reset may hold it: until its person had time to notice, it proves nothing about their locks."""


def goes_by_lock(account: Account, *, site: str) -> bool:
    """What is set: operators always, then the account's own switch, its organisation's, the site's."""
    if account.role == Role.OPERATOR:
        return bool(settings.CALOCK.operators_need_lock)
    if account.lock_only is not None:
        return bool(account.lock_only)
    if account.organisation is not None and account.organisation.lock_only is not None:
        return bool(account.organisation.lock_only)
    profile = sites().get(site)
    return bool(profile and profile.lock_only)


def is_enrolling(account: Account, *, at: datetime) -> bool:
    """Whether an operator may use the password just now, to bind a lock."""
    return account.lock_enrolment_until is not None and at < account.lock_enrolment_until


def has_lock(account: Account) -> bool:
    """Whether the account gets in by a lock. One that waits for consent does not count: it would shut its member out."""
    return bool(Binding.objects.logging_in().filter(account=account).exists())


def is_lock_only(account: Account, *, site: str, at: datetime) -> bool:
    """Whether the password is no way in: with the first bound lock the switch takes effect."""
    return goes_by_lock(account, site=site) and not is_enrolling(account, at=at) and (has_lock(account) or _stopped_for(account))


def _stopped_for(account: Account) -> bool:
    """Whether an operator reported a lock of the account lost: with a reset beside it one operator alone would open the account."""
    stopped = Binding.objects.live().filter(account=account, suspended_by__role=Role.OPERATOR)
    return bool(stopped.exclude(suspended_by=account).exists())


def refuse_password_after_reset(account: Account, *, at: datetime) -> None:
    """For an account with a bound lock, whose password somebody else reset lately.

    Raises:
        Refusal: PASSWORD_RESET_LATELY.
    """
    if not _was_reset_lately(account, at=at) or is_enrolling(account, at=at):
        return
    if Binding.objects.live().filter(account=account).exists():  # also one that waits for the member's consent
        raise Refusal(Reason.PASSWORD_RESET_LATELY, "the account has a bound lock")


def may_dismiss(session: Session) -> bool:
    """Whether the session may hide what its person must be told: not one that a reset password opened, perhaps to somebody else."""
    if session.lock_proved_at is not None:
        return True
    try:
        refuse_password_after_reset(session.account, at=clock.now())
    except Refusal:
        return False
    return True


def refuse_power_after_reset(account: Account, *, lock: uuid.UUID | None, at: datetime) -> None:
    """For acts on other people's accounts and locks, proved by ``lock``, by password when None.

    An attacker who has an administrator's password reset could enter as them, bind a lock of their own and use its power at once.

    Raises:
        Refusal: PASSWORD_RESET_LATELY unless the lock was bound before the reset.
    """
    if not _was_reset_lately(account, at=at):
        return
    held = Binding.objects.logging_in().filter(account=account, lock=lock, bound_at__lt=account.password_reset_at)
    if lock is None or not held.exists():
        raise Refusal(Reason.PASSWORD_RESET_LATELY, "no lock that was bound before the reset")


def _was_reset_lately(account: Account, *, at: datetime) -> bool:
    return account.password_reset_at is not None and at - account.password_reset_at < RESET_HOLD


def password_counts(account: Account, *, site: str, at: datetime) -> bool:
    """Whether a proof by password counts for this account now."""
    try:
        refuse_password_as_proof(account, site=site, at=at)
    except Refusal:
        return False
    return True


def password_does(account: Account, *, site: str, at: datetime) -> bool:
    """Whether the account has a password that proves who is there: a page asks for it then."""
    return account.has_usable_password() and password_counts(account, site=site, at=at)


def refuse_password_as_proof(account: Account, *, site: str, at: datetime) -> None:
    """For acts that ask who is there: where a password is no way in, it is no proof either.

    Raises:
        Refusal: LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY.
    """
    if is_lock_only(account, site=site, at=at):
        raise Refusal(Reason.LOCK_PROOF_REQUIRED, "the account goes by its lock alone")
    refuse_password_after_reset(account, at=at)
