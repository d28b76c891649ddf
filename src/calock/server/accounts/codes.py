"""One-time codes with which people choose a password themselves: the issuer never learns or chooses it.

Sources: OWASP ASVS 5.0, 6.4.1 (random, short-lived, one use) and 6.4.6 (administrators do not choose passwords).
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.calendar_links import drop_link
from calock.server.accounts.models import Account, PasswordCode
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.contacts.models import CodePurpose, ContactCode
from calock.server.contacts.services import REACH
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_account
from calock.server.tools.digests import digest

LIFE = timedelta(hours=72)
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford base 32: no letter is misheard or misread as a digit."""
_MISREAD = str.maketrans("OIL", "011", "- \u3000")


def _normalised(code: str) -> str:
    """``7k3m-9qxt…`` as it was issued: upper case, no hyphens or blanks, O as 0, I and L as 1."""
    return code.upper().translate(_MISREAD)


def _digest(code: str) -> str:
    return digest(_normalised(code))


def issue_code(account: Account, *, by: Account | None, at: datetime) -> str:
    """A code of 80 random bits, ``7K3M-9QXT-0B5D-4F2H``, inside the caller's transaction. It replaces an earlier one.

    This is the only time the server has it: the row keeps its SHA-256.
    """
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    PasswordCode.objects.filter(account=account, used_at__isnull=True).delete()
    PasswordCode.objects.create(digest=_digest(letters), account=account, created_by=by, created_at=at, expires_at=at + LIFE)
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def choose_password(*, username: str, code: str, new: str, context: RequestContext) -> Account:
    """Set the password of the account that ``code`` was issued for; the code is used up and every session of the account ends.

    Raises:
        Refusal: PASSWORD_CODE_WRONG for an unknown account and for a code that is wrong, used or expired; TOO_MANY_ATTEMPTS,
            SERVER_BUSY; PASSWORD_UNACCEPTABLE, which leaves the code usable; RECORD_DAMAGED.
    """
    with counted("password-code", Event.ACCOUNT_PASSWORD_REFUSED, context=context) as about:
        found = _open_code(username, code, context.at)
        account: Account = found.account
        about |= {"actor": account, "subject": account.pk}
        chosen = passwords.require_acceptable(account, new)
        _set(found, chosen, context)
    return account


def _open_code(username: str, code: str, at: datetime) -> PasswordCode:
    open_at = PasswordCode.objects.filter(used_at__isnull=True, expires_at__gt=at).select_related("account")
    found = open_at.filter(digest=_digest(code[:64])).first()
    if found is None or found.account.username != username.strip() or not found.account.is_active:
        raise Refusal(Reason.PASSWORD_CODE_WRONG, "no open code of this account")
    found.require_believed()
    return found


def _set(found: PasswordCode, password: str, context: RequestContext) -> None:
    with transaction.atomic():
        account = Account.objects.select_for_update(no_key=True).get(pk=found.account_id)
        # two at once: one of them finds the code used
        if not PasswordCode.objects.filter(pk=found.pk, used_at__isnull=True).update(used_at=context.at, mac=""):
            raise Refusal(Reason.PASSWORD_CODE_WRONG, "used a moment ago")
        is_first = account.password_changed_at is None and account.password_reset_at is None
        store_password(account, password, context=context)
        row = record(Event.ACCOUNT_PASSWORD_CHOSEN, context=context, actor=account, subject=account.pk)
        if not is_first:
            tell(NoticeKind.PASSWORD_CHANGED, account=account.pk, row=row, by=str(account.pk), by_role="code", by_name="")


def lock_of_password(account: Account, *, at: datetime) -> uuid.UUID | None:
    """The lock that the password stands on: with which it was chosen in the last month, directly or through what stands on it.

    An older password is believed to be the person's, as an older contact is.
    """
    chosen = account.password_changed_at
    return account.password_by_lock_id if chosen is None or at - chosen <= REACH else None


def store_password(account: Account, password: str, *, context: RequestContext, lock: uuid.UUID | None = None) -> None:
    """Keep the password that the person chose, inside the caller's transaction; their sessions end, but the one they act in.

    ``lock``: the one that it stands on: that stood in for the old password, or brought the proof that did. Every open code of the
    account ends: whoever asked for one earlier, or was given one, sets no other password with it.
    """
    PasswordCode.objects.filter(account=account, used_at__isnull=True).delete()
    ContactCode.objects.filter(contact__account=account, purpose=CodePurpose.RESET, used_at__isnull=True).delete()
    account.set_password(password)
    account.must_change_password = False
    account.password_changed_at = context.at
    account.password_by_lock_id = lock
    account.save(update_fields=["password", "must_change_password", "password_changed_at", "password_by_lock"])
    end_sessions_of_account(account_id=account.pk, reason="password changed", at=context.at, but=context.session)
    drop_link(account, context=context)
