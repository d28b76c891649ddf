"""Erase a person: 个人信息保护法 clause 47. What shows who could sign and who decided stays, under a pseudonym.

Gone: name, account name, number in another system, password, contacts, addresses and browsers of sessions, drivers, notices, claims
of lists, codes.
Stays: the row with its id, to which bindings, approvals and audit rows point; certificates, bindings and receipts, which are
evidence of procurement acts; audit rows with the address they came from, whose MAC and seal cover it, until their own time is over.
"""

from __future__ import annotations

import secrets

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.members import locked, record_change
from calock.server.accounts.models import Account, AccountState, PasswordCode, Role
from calock.server.audit.events import Event
from calock.server.contacts.models import Contact
from calock.server.locks.models import Binding, KnownDriver, PendingBinding
from calock.server.notices.models import Notice
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session

ERASED_NAME = "已注销用户"


def require_erasable(account: Account) -> None:
    """Only who can do nothing any more is erased: a disabled ordinary account without bound locks.

    Raises:
        Refusal: REQUEST_MALFORMED, with words for people.
    """
    if account.role == Role.OPERATOR:
        raise Refusal(Reason.REQUEST_MALFORMED, "运营人员不能注销：其复核须可追溯")
    if account.state != AccountState.DISABLED:
        raise Refusal(Reason.REQUEST_MALFORMED, "请先停用账户，再提出注销")
    if Binding.objects.live().filter(account=account).exists():
        raise Refusal(Reason.REQUEST_MALFORMED, "账户还有绑定中的 CA 锁，请先解除绑定")


def erase_account(*, member: Account, by: Account, context: RequestContext | None) -> None:
    """As two operators decided: inside the approval's transaction. It is not undone.

    Raises:
        Refusal: as ``require_erasable``.
    """
    with transaction.atomic():
        account = locked(member)
        require_erasable(account)
        account.username, account.name = f"erased-{secrets.token_hex(6)}", ERASED_NAME
        account.external_id, account.state = "", AccountState.ERASED
        account.set_unusable_password()
        account.save(update_fields=["username", "name", "external_id", "state", "password"])
        sessions = Session.objects.filter(account=account).update(ip=None, user_agent="", mac="")
        Notice.objects.filter(account=account).delete()
        _forget_name(account)
        KnownDriver.objects.filter(account=account).delete()
        Binding.objects.filter(account=account).update(label="")
        PasswordCode.objects.filter(account=account).delete()
        Contact.objects.filter(account=account).delete()
        claims, _ = PendingBinding.objects.filter(account=account).delete()
        record_change(Event.ACCOUNT_ERASED, account, by=by, context=context, sessions=sessions, claims=claims)


def _forget_name(account: Account) -> None:
    """Out of notices to others, which say who acted."""
    for notice in Notice.objects.filter(facts__by=str(account.pk)):
        notice.facts = {**notice.facts, "by_name": ERASED_NAME}
        notice.save(update_fields=["facts"])
