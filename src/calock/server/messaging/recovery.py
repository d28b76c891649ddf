"""忘记密码 by a verified contact. Who asks learns nothing: not whether an account exists, has a contact, or may be opened so.

The request does the same for every name; who gets a code is decided in the background. The code counts only in the browser that
asked for it, so that a stranger's guesses use up no code of the person's. Source: OWASP, "Forgot Password Cheat Sheet".
"""

from __future__ import annotations

import uuid

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts import passwords
from calock.server.accounts.codes import store_password
from calock.server.accounts.models import Account, Role
from calock.server.accounts.password_tries import NOBODY
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.contacts.models import CodePurpose, Contact, ContactCode
from calock.server.locks.password_rules import is_lock_only
from calock.server.locks.row_seals import require_believed
from calock.server.messaging import channels, code_limits
from calock.server.messaging.letters import letter_of_lock_only
from calock.server.messaging.sending import CODE_LIFE, deliver_code
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import tell
from calock.server.outbox.kinds import GiveUpError
from calock.server.outbox.models import Message
from calock.server.outbox.services import put
from calock.server.sessions.context import RequestContext
from calock.server.tools import clock


def ask_for_code(*, username: str, kind: str, language: str, context: RequestContext) -> None:
    """Have a code sent to the account's verified contact of that kind, if there is one and it may be opened so.

    Raises:
        Refusal: CHANNEL_OFF, TOO_MANY_CODES, TOO_MANY_ATTEMPTS; each for every name alike.
    """
    with counted("password-code", Event.PASSWORD_CODE_REFUSED, context=context):
        name = _named(username)
        account = Account.objects.filter(username=name).values_list("pk", flat=True).first()
        # a browser in which this account logged in has a count of its own: strangers do not keep the person from asking
        asker = f" browser {context.known_browser.id}" if context.known_browser.knows(account or NOBODY) else ""
        channels.require_ready(kind)
        code_limits.take(code_limits.about(f"name {name}{asker}"), code_limits.from_address(context), at=context.at)
    body = {"kind": kind, "account": str(account or ""), "asker": asker, "browser": context.browser}
    with transaction.atomic():
        put(f"reset-{kind}", key=str(uuid.uuid4()), body={**body, "site": context.site, "language": language})
        record(Event.PASSWORD_CODE_ASKED, context=context, subject=account, details={"kind": kind})


def _named(username: str) -> str:
    return username.strip()[:64].replace("\0", "")


def send_reset(message: Message) -> None:
    """Decide who gets a code, and send it. A repetition sends the same code.

    Raises:
        GiveUpError: its time is over, or its contact got too many.
    """
    body = {name: str(value) for name, value in message.body.items()}
    account = Account.objects.select_related("organisation").filter(pk=body["account"]).first() if body["account"] else None
    contact = Contact.objects.opening().filter(account=account, kind=body["kind"]).first() if account else None
    if account is None or contact is None or not _may_reset(account):
        return
    _count(message, contact)
    if is_lock_only(account, site=body["site"], at=clock.database_now()):
        letter = letter_of_lock_only(contact, id_=str(message.pk), site=body["site"], language=body["language"])
        channels.send(contact.kind, letter)
        return
    times = {"created_at": message.created_at, "expires_at": message.created_at + CODE_LIFE}
    values = {"purpose": CodePurpose.RESET, "contact": contact, "browser": body["browser"], **times}
    code, _made = ContactCode.objects.get_or_create(pk=message.pk, defaults=values)
    deliver_code(code, site=body["site"], language=body["language"])


def _count(message: Message, contact: Contact) -> None:
    """Count what is sent to a contact with the codes that prove it, once however often it is tried.

    Raises:
        GiveUpError: too many; whoever asked is told nothing, since the request knows of no contact.
    """
    asker = str(message.body.get("asker", ""))  # a message of an earlier version has none
    count = code_limits.to_contact(contact.kind, contact.value, asker=asker)
    if message.attempts == 1 and not count.take(clock.database_now()):
        raise GiveUpError(f"this contact got {count.most} codes within the hour")


def _may_reset(account: Account) -> bool:
    """Operators go by codes of other operators; who is disabled gets in by no password."""
    return account.is_active and account.role != Role.OPERATOR


def reset_password(*, username: str, typed: str, new: str, context: RequestContext) -> Account:
    """Set the password of the account whose contact got the code; every session of it ends, and the person is told.

    For a day the new password proves nothing about the account's locks, as after any reset that no lock made.

    Raises:
        Refusal: CODE_WRONG for an unknown account too; PASSWORD_UNACCEPTABLE, which leaves the code usable; TOO_MANY_ATTEMPTS,
            SERVER_BUSY; RECORD_DAMAGED for a code that somebody wrote into the database.
    """
    with counted("password-code", Event.ACCOUNT_PASSWORD_REFUSED, context=context) as about:
        code = _right_code(_named(username), typed, context)
        account: Account = code.contact.account
        about |= {"actor": account, "subject": account.pk}
        chosen = passwords.require_acceptable(account, new)
        _set(account, code, chosen, context)
    return account


def _right_code(name: str, typed: str, context: RequestContext) -> ContactCode:
    """The code of this name and browser that was typed. For every name the same is asked, and one guess written down."""
    if not context.browser:
        raise Refusal(Reason.CODE_WRONG, "a browser that asked for none")
    asked = ContactCode.objects.filter(purpose=CodePurpose.RESET, browser=context.browser)
    mine = asked.filter(contact__account__username=name, contact__removed_at__isnull=True)
    with transaction.atomic():
        judged = code_limits.guesses(name, context).take(context.at)
        code = mine.select_related("contact__account__organisation").right_one(typed, at=context.at)
    if code is None or not judged:
        raise Refusal(Reason.CODE_WRONG, "no open code of this account that was asked for in this browser")
    require_believed(code)
    return code


def _set(account: Account, code: ContactCode, password: str, context: RequestContext) -> None:
    """Store it, if the account may still be opened so: since the code was sent it may have been disabled, or the contact removed.

    Raises:
        Refusal: CODE_WRONG.
    """
    with transaction.atomic():
        now = Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        contact = Contact.objects.opening().filter(pk=code.contact_id, account=now).first()
        if contact is None or not contact.opens() or not _may_reset(now) or is_lock_only(now, site=context.site, at=context.at):
            raise Refusal(Reason.CODE_WRONG, "the account may not be opened so any more")
        if not code.use(at=context.at):
            raise Refusal(Reason.CODE_WRONG, "used a moment ago")
        store_password(now, password, context=context, lock=contact.by_lock)
        now.password_reset_at = context.at
        now.save(update_fields=["password_reset_at"])
        details = {"how": contact.kind, "contact": contact.masked}
        row = record(Event.ACCOUNT_PASSWORD_CHOSEN, context=context, actor=now, subject=now.pk, details=details)
        tell(NoticeKind.PASSWORD_RESET, account=now.pk, row=row, by=str(now.pk), by_role="contact", by_name="")
