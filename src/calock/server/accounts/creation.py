"""New accounts: who may create which, and the one-time code that a new account's person gets."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import OWNER_ONLY, acting
from calock.server.accounts.codes import issue_code
from calock.server.accounts.models import Account, Role
from calock.server.accounts.organisations import require_open
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.organisations.models import Organisation
from calock.server.sessions.context import RequestContext

TWO_NEEDED = "an administrator has power over the locks of others: making one takes two operators"


def create_account(
    *,
    username: str,
    name: str,
    role: Role = Role.MEMBER,
    organisation: Organisation | None = None,
    by: Account | None = None,
    context: RequestContext | None = None,
) -> tuple[Account, str]:
    """A new account without a password, and the one-time code with which its person chooses one. ``by`` None is the server's owner.

    Operators create members anywhere and the first account of an organisation as its administrator; administrators create
    members of their own organisation.

    Raises:
        Refusal: REQUEST_MALFORMED for a name that is taken or not one line of text, or an organisation that is closed; NOT_ALLOWED.
    """
    require_names(username, name)
    account = Account(username=username, name=name, role=role, organisation=organisation)
    account.set_unusable_password()
    with transaction.atomic():
        actor = acting(by) if by else None
        if organisation is not None:
            require_open(organisation)
        if actor is not None:
            _require_may_create(actor, role, organisation)
        try:
            with transaction.atomic():
                account.save(force_insert=True)
        except IntegrityError as error:  # two at once: the unique constraint decides
            if not Account.objects.filter(username=username).exists():
                raise
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户名已存在") from error
        code = issue_code(account, by=by, at=context.at if context else timezone.now())
        place = organisation.pk if organisation else None
        details = {"role": str(role)}
        record(Event.ACCOUNT_CREATED, context=context, actor=by, subject=account.pk, organisation=place, details=details)
    return account, code


def require_names(username: str, name: str) -> None:
    """What a new account may be called.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    if not re.fullmatch(r"[\w.@+-]{2,64}", username) or not name.strip() or clean(name, 64) != name:
        raise Refusal(Reason.REQUEST_MALFORMED, "账户须为 2 至 64 个字母、数字或 .@+-_ ，姓名最多 64 个字")


def _require_may_create(by: Account, role: Role, organisation: Organisation | None) -> None:
    """``organisation``'s row is locked, so that it does not get a first account twice."""
    if by.role == Role.ORGANISATION_ADMIN and organisation is not None and by.organisation_id == organisation.pk:
        if role != Role.MEMBER:
            raise Refusal(Reason.NOT_ALLOWED, "administrators create ordinary members")
        return
    if not by.is_operator:
        raise Refusal(Reason.NOT_ALLOWED, "only operators create accounts of other organisations")
    if role == Role.OPERATOR:
        raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
    if role == Role.ORGANISATION_ADMIN:
        if organisation is None:
            raise Refusal(Reason.REQUEST_MALFORMED, "机构管理员须属于一个单位")
        if organisation.members.exists():
            raise Refusal(Reason.NOT_ALLOWED, TWO_NEEDED)
