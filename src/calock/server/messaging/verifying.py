"""Add, verify and take away a contact of one's own. Each asks for a fresh proof: a contact is a way back into the account."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from dataclasses import replace

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.codes import lock_of_password
from calock.server.accounts.models import Account
from calock.server.accounts.services import prove_by_password
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.contacts.models import CodePurpose, Contact, ContactCode
from calock.server.contacts.services import REACH, is_told_on
from calock.server.contacts.values import ContactKind, masked, normalised
from calock.server.locks.password_rules import refuse_password_as_proof
from calock.server.locks.row_seals import require_believed
from calock.server.messaging import channels, code_limits
from calock.server.messaging.sending import CODE_LIFE
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.outbox.services import put
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import is_fresh_by_lock, require_fresh
from calock.server.tools.encryption import NotOpenedError


def add_contact(*, account: Account, kind: str, text: str, password: str, language: str, context: RequestContext) -> Contact:
    """Keep a contact that is still to be verified, in place of an earlier such one of its kind, and send it a code.

    ``password``: the account's. It may be empty after a proof by lock of the last minutes, and where the same contact gets another
    code: as for another password, a session alone does not do.

    Raises:
        Refusal: CHANNEL_OFF, CONTACT_UNUSABLE, STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, STEP_UP_FAILED,
            PASSWORD_TRIES_USED_UP, TOO_MANY_CODES, TOO_MANY_ATTEMPTS, SERVER_BUSY. Each is audited.
    """
    with _counted(account, context):
        require_may_change(account, context)
        channels.require_ready(kind)
        named = ContactKind(kind)
        value = normalised(named, text)
        if value is None:
            raise Refusal(Reason.CONTACT_UNUSABLE, f"no {named}")
        if not _waits(account, named, value):
            _require_password(account, password, context)
        code_limits.take(code_limits.about(f"account {account.pk}"), code_limits.to_contact(named, value), at=context.at)
        return _add(account, named, value, language=language, context=context)


def _waits(account: Account, kind: ContactKind, value: str) -> bool:
    row = Contact.objects.kept().filter(account=account, kind=kind, verified_at__isnull=True).first()
    return row is not None and _has_value(row, value)


def _has_value(row: Contact, value: str) -> bool:
    try:
        return row.value == value
    except NotOpenedError:
        return False


def _require_password(account: Account, password: str, context: RequestContext) -> None:
    if context.session is not None and is_fresh_by_lock(context.session, at=context.at):
        return
    if not account.has_usable_password():
        raise Refusal(Reason.LOCK_PROOF_REQUIRED, "the account has no password")
    prove_by_password(account, password, context=context)


def _add(account: Account, kind: ContactKind, value: str, *, language: str, context: RequestContext) -> Contact:
    with transaction.atomic():
        _held(account, context)
        Contact.objects.kept().filter(account=account, kind=kind, verified_at__isnull=True).delete()
        made = Contact(account=account, kind=kind, site=context.site, language=language, added_at=context.at)
        made.value = value
        made.save(force_insert=True)
        _send_code(made, language=language, context=context)
        details = {"kind": str(kind), "contact": masked(kind, value)}
        record(Event.CONTACT_ADDED, context=context, actor=account, subject=account.pk, details=details)
    return made


def _held(account: Account, context: RequestContext) -> uuid.UUID | None:
    """Two acts on one account, one after the other, if what was proved still holds: the lock may be lost meanwhile.

    Gives the lock that the act stands on: that of the proof, or the one that the password stands on.

    Raises:
        Refusal: SESSION_ENDED, and as :func:`require_may_change`.
    """
    now = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    session = Session.objects.filter(pk=context.session.pk, ended_at__isnull=True).first() if context.session else None
    if session is None or not now.is_active:
        raise Refusal(Reason.SESSION_ENDED, "ended meanwhile")
    require_may_change(now, replace(context, session=session))
    return session.proved_lock_id if is_fresh_by_lock(session, at=context.at) else lock_of_password(now, at=context.at)


def _send_code(contact: Contact, *, language: str, context: RequestContext) -> None:
    code = ContactCode(purpose=CodePurpose.VERIFY, contact=contact, created_at=context.at, expires_at=context.at + CODE_LIFE)
    code.save(force_insert=True)
    put(f"code-{contact.kind}", key=str(code.pk), body={"code": str(code.pk), "site": context.site, "language": language})


def verify_contact(*, account: Account, contact: uuid.UUID, typed: str, context: RequestContext) -> None:
    """Take a contact for the person's, by the code that was sent to it; it replaces an earlier one of its kind.

    The person is told, at the former contact too.

    Raises:
        Refusal: NOT_FOUND for another account's, or one that is verified; CODE_WRONG; STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED,
            PASSWORD_RESET_LATELY, TOO_MANY_ATTEMPTS; RECORD_DAMAGED for a code that somebody wrote. Each is audited.
    """
    with _counted(account, context):
        require_may_change(account, context)
        row = Contact.objects.kept().filter(pk=contact, account=account, verified_at__isnull=True).first()
        if row is None:
            raise Refusal(Reason.NOT_FOUND, "no contact of this account that waits for its code")
        code = row.codes.filter(purpose=CodePurpose.VERIFY).order_by("-created_at").first()
        if code is None or not code.is_right(typed, at=context.at):
            raise Refusal(Reason.CODE_WRONG, "wrong, used or expired")
        require_believed(code)
        _verify(row, code, account, context)


def _verify(row: Contact, code: ContactCode, account: Account, context: RequestContext) -> None:
    with transaction.atomic():
        lock = _held(account, context)
        if not code.use(at=context.at):
            raise Refusal(Reason.CODE_WRONG, "used a moment ago")
        row.verified_at, row.by_lock = context.at, lock
        for former in Contact.objects.verified().filter(account=account, kind=row.kind):
            if not _has_value(former, row.value):
                _remove(former, account, lock, context)
                continue
            former.delete()  # verified anew: it is told of nothing twice, nor that it was removed
            if former.removed_by_lock is None:  # it was in no doubt, and is as old as it was
                row.verified_at, row.by_lock = former.verified_at, former.by_lock
        row.save(update_fields=["verified_at", "by_lock"])
        details = {"kind": row.kind, "contact": row.masked}
        event = record(Event.CONTACT_VERIFIED, context=context, actor=account, subject=account.pk, details=details)
        tell(NoticeKind.CONTACT_ADDED, account=account.pk, row=event, contact=row.masked)


def remove_contact(*, account: Account, contact: uuid.UUID, context: RequestContext) -> None:
    """Take a contact away. It is told so, then its row is deleted.

    Raises:
        Refusal: NOT_FOUND for another account's; STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, TOO_MANY_ATTEMPTS.
            Each is audited.
    """
    with _counted(account, context):
        require_may_change(account, context)
        with transaction.atomic():
            lock = _held(account, context)
            row = Contact.objects.kept().filter(pk=contact, account=account).first()
            if row is None:
                raise Refusal(Reason.NOT_FOUND, "no contact of this account")
            _remove(row, account, lock, context)


def _remove(row: Contact, account: Account, lock: uuid.UUID | None, context: RequestContext) -> None:
    shown = row.masked
    details = {"kind": row.kind, "contact": shown, "contact_id": str(row.pk)}
    event = record(Event.CONTACT_REMOVED, context=context, actor=account, subject=account.pk, details=details)
    if row.verified_at is None:
        row.delete()
        return
    row.removed_at, row.removed_by_lock = event.at, lock
    row.save(update_fields=["removed_at", "removed_by_lock"])
    reach = {"reach": str(REACH.days)} if is_told_on(row) else {}
    tell(NoticeKind.CONTACT_REMOVED, account=account.pk, row=event, contact=shown, **reach)


def require_may_change(account: Account, context: RequestContext) -> None:
    """Whether the session proves enough, now, to change the account's contacts.

    Raises:
        Refusal: STEP_UP_REQUIRED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY.
    """
    if not is_fresh_by_lock(require_fresh(context), at=context.at):
        refuse_password_as_proof(account, site=context.site, at=context.at)


def _counted(account: Account, context: RequestContext) -> AbstractContextManager[object]:
    return counted("contact", Event.CONTACT_REFUSED, context=context, actor=account, subject=account.pk)
