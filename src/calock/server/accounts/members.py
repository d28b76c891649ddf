"""Verbs of accounts: create, disable and enable, rename, change the role, move to another organisation.

What one operator may do alone stands in the functions with ``by``. The others are called by an approval's act, inside its
transaction and with the operator who approved.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import OWNER_ONLY, acting, require_authority, require_operator
from calock.server.accounts.codes import issue_code
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record, record_refusal
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.organisations.models import Organisation, OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_account

ENROLMENT = timedelta(hours=72)
"""As long as a one-time code: the weekend between creating an operator and their first day."""
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
    if not re.fullmatch(r"[\w.@+-]{2,64}", username) or not name.strip() or clean(name, 64) != name:
        raise Refusal(Reason.REQUEST_MALFORMED, "账户须为 2 至 64 个字母、数字或 .@+-_ ，姓名最多 64 个字")
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


def require_open(organisation: Organisation) -> Organisation:
    """Lock the organisation's row and make sure that it still takes members.

    Raises:
        Refusal: REQUEST_MALFORMED when it was merged into another one.
    """
    now = Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)
    if now.state == OrganisationState.MERGED:
        raise Refusal(Reason.REQUEST_MALFORMED, "该单位已并入其他单位")
    return now


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


def set_account_state(*, member: Account, state: AccountState, by: Account, context: RequestContext) -> None:
    """Disable or enable an account. Disabling ends every session at once; its locks stay reserved for it.

    Raises:
        Refusal: NOT_FOUND; SECOND_OPERATOR_NEEDED for an operator's account.
    """
    try:
        with transaction.atomic():
            _require_may_disable(acting(by), _locked(member))
            write_account_state(member=member, state=state, by=by, context=context)
    except Refusal as refusal:
        record_refusal(_state_event(state), refusal, context=context, actor=by, subject=member.pk)
        raise


def _require_may_disable(by: Account, member: Account) -> None:
    require_authority(by, member)
    if member.role == Role.OPERATOR:
        raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "two operators disable or enable an operator")


def _state_event(state: AccountState) -> Event:
    return Event.ACCOUNT_ENABLED if state == AccountState.ACTIVE else Event.ACCOUNT_DISABLED


def write_account_state(*, member: Account, state: AccountState, by: Account | None, context: RequestContext | None) -> None:
    """What was decided: for :func:`set_account_state`, an approval's act, or the server's owner (``by`` None)."""
    at = context.at if context else timezone.now()
    with transaction.atomic():
        account = _locked(member)
        account.state = state
        account.save(update_fields=["state"])
        ended = 0
        if state != AccountState.ACTIVE:
            ended = end_sessions_of_account(account_id=account.pk, reason="account disabled", at=at)
        _record(_state_event(state), account, by=by, context=context, sessions_ended=ended)
    member.state = state


def rename_account(*, member: Account, name: str, by: Account, context: RequestContext) -> None:
    """Correct the name of a person.

    Raises:
        Refusal: NOT_FOUND, REQUEST_MALFORMED.
    """
    if not name.strip() or clean(name, 64) != name:
        raise Refusal(Reason.REQUEST_MALFORMED, "姓名最多 64 个字")
    with transaction.atomic():
        require_authority(acting(by), _locked(member))
        account = _locked(member)
        if account.name == name:
            return
        account.name = name
        account.save(update_fields=["name"])
        _record(Event.ACCOUNT_CHANGED, account, by=by, context=context, what="name")  # the trail holds no names
    member.name = name


def demote(*, member: Account, by: Account, context: RequestContext) -> None:
    """Make an administrator an ordinary member: takes power away, so one operator may.

    Raises:
        Refusal: NOT_ALLOWED for who is no operator, REQUEST_MALFORMED for who is no administrator.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        if member.role != Role.ORGANISATION_ADMIN:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户不是机构管理员")
        change_role(member=member, role=Role.MEMBER, by=operator, context=context)


def change_role(*, member: Account, role: Role, by: Account, context: RequestContext | None) -> None:
    """Member to administrator and back; the caller has checked that this may be decided.

    Raises:
        Refusal: REQUEST_MALFORMED for an operator's account, or an administrator without an organisation.
    """
    with transaction.atomic():
        account = _locked(member)
        if Role.OPERATOR in (account.role, role):
            raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
        if role == Role.ORGANISATION_ADMIN and account.organisation_id is None:
            raise Refusal(Reason.REQUEST_MALFORMED, "机构管理员须属于一个单位")
        was, account.role = account.role, role
        account.save(update_fields=["role"])
        row = _record(Event.ACCOUNT_CHANGED, account, by=by, context=context, what="role", was=was, role=str(role))
        notify(NoticeKind.ROLE_CHANGED, account=account.pk, by=by, row=row, value=str(role))
    member.role = role


def move_account(*, member: Account, organisation: Organisation, by: Account, context: RequestContext | None) -> None:
    """Into another organisation, as an ordinary member: being administrator there is another decision. Bindings stay.

    Raises:
        Refusal: NOT_ALLOWED for an operator's account, REQUEST_MALFORMED for the organisation it belongs to or a merged one.
    """
    with transaction.atomic():
        target = require_open(organisation)  # before the account: a merger takes them in this order
        account = _locked(member)
        if account.role == Role.OPERATOR:
            raise Refusal(Reason.NOT_ALLOWED, "operators belong to no organisation")
        if account.organisation_id == target.pk:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户已属于此单位")
        was, account.organisation, account.role = account.organisation_id, target, Role.MEMBER
        account.save(update_fields=["organisation", "role"])
        row = _record(Event.ACCOUNT_MOVED, account, by=by, context=context, was=str(was or ""))
        notify(NoticeKind.MOVED, account=account.pk, by=by, row=row, value=target.name)
    member.organisation, member.role = organisation, Role.MEMBER


def open_enrolment(*, operator: Account, by: Account | None, context: RequestContext | None) -> datetime:
    """Give an operator a time in which they log in with the password and bind a lock: their first one, or when all are lost.

    As the server's owner wants (``by`` None), or as two operators decided. Binding a lock ends it.

    Raises:
        Refusal: REQUEST_MALFORMED for an account that is no operator's, OPERATOR_DAMAGED.
    """
    until = (context.at if context else timezone.now()) + ENROLMENT
    with transaction.atomic():
        account = _locked(operator)
        if account.role != Role.OPERATOR:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户不是运营人员")
        account.lock_enrolment_until = until
        account.save(update_fields=["lock_enrolment_until"])
        _record(Event.ACCOUNT_ENROLMENT_OPENED, account, by=by, context=context, until=until.isoformat(timespec="seconds"))
    return until


def set_lock_only(*, member: Account, value: bool | None, by: Account, context: RequestContext) -> None:
    """Whether the account goes by its lock alone once one is bound; None: as its organisation or the site says.

    Raises:
        Refusal: NOT_FOUND; NOT_ALLOWED for an operator, who always does.
    """
    with transaction.atomic():
        account = _locked(member)
        require_authority(acting(by), account)
        if account.role == Role.OPERATOR:
            raise Refusal(Reason.NOT_ALLOWED, "operators always go by their lock")
        account.lock_only = value
        account.save(update_fields=["lock_only"])
        row = _record(Event.ACCOUNT_LOCK_ONLY_CHANGED, account, by=by, context=context, value=str(value))
        notify(NoticeKind.LOCK_ONLY_CHANGED, account=account.pk, by=by, row=row, value=str(value))


def _locked(member: Account) -> Account:
    row: Account = Account.objects.select_for_update(no_key=True).get(pk=member.pk)
    return row


def _record(
    event: Event, account: Account, *, by: Account | None, context: RequestContext | None, **details: str | int
) -> AuditEvent:
    return record(event, context=context, actor=by, subject=account.pk, organisation=account.organisation_id, details=details)
