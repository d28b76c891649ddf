"""Changes to accounts: disable and enable, rename, change the role, move to another organisation, choose the way in.

``set_…`` and ``rename_…`` check what ``by`` may do alone. ``write_…``, :func:`change_role` and :func:`move_account` are called by
an approval's act, inside its transaction and with the operator who approved.
"""

from __future__ import annotations

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import OWNER_ONLY, acting, require_authority, require_operator
from calock.server.accounts.calendar_links import drop_link
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.accounts.organisations import require_open
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.models import AuditEvent
from calock.server.audit.services import record, record_refusal
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.organisations.models import Organisation
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import end_sessions_of_account
from calock.server.tools import clock


def set_account_state(*, member: Account, state: AccountState, by: Account, context: RequestContext) -> None:
    """Disable or enable an account. Disabling ends every session at once; its locks stay reserved for it.

    Raises:
        Refusal: NOT_FOUND; SECOND_OPERATOR_NEEDED for an operator's account.
    """
    try:
        with transaction.atomic():
            _require_may_disable(acting(by), locked(member))
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
    at = context.at if context else clock.now()
    with transaction.atomic():
        account = locked(member)
        if account.state == AccountState.ERASED:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户已注销")
        again = account.state == state == AccountState.ACTIVE
        account.state = state
        ended = 0
        if state == AccountState.ACTIVE:
            account.enabled_at = account.enabled_at if again else at  # a second press ends nobody's session
            account.save(update_fields=["state", "enabled_at"])
        else:
            account.save_closed(update_fields=["state"])
            ended = end_sessions_of_account(account_id=account.pk, reason="account disabled", at=at)
            drop_link(account, context=context)
        record_change(_state_event(state), account, by=by, context=context, sessions_ended=ended)
    member.state = state


def rename_account(*, member: Account, name: str, by: Account, context: RequestContext) -> None:
    """Correct the name of a person.

    Raises:
        Refusal: NOT_FOUND, REQUEST_MALFORMED; NOT_ALLOWED for an operator's: colleagues know each other by it.
    """
    with transaction.atomic():
        account = locked(member)
        require_authority(acting(by), account)
        if account.role == Role.OPERATOR:
            raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
        write_name(member=account, name=name, by=by, context=context)
    member.name = name


def write_name(*, member: Account, name: str, by: Account | None, context: RequestContext | None) -> None:
    """Another name, as may be decided: for :func:`rename_account`, or the server's owner (``by`` None).

    Raises:
        Refusal: REQUEST_MALFORMED for what is no line of 1 to 64 characters.
    """
    if not name.strip() or clean(name, 64) != name:
        raise Refusal(Reason.REQUEST_MALFORMED, "姓名最多 64 个字")
    with transaction.atomic():
        account = locked(member)
        if account.name == name:
            return
        account.name = name
        account.save(update_fields=["name"])
        record_change(Event.ACCOUNT_CHANGED, account, by=by, context=context, what="name")  # the trail holds no names
    member.name = name


def write_external_id(*, member: Account, external_id: str, by: Account | None, context: RequestContext | None) -> None:
    """What another system calls the account; once given, it stays."""
    with transaction.atomic():
        account = locked(member)
        account.external_id = external_id
        account.save(update_fields=["external_id"])
        record_change(Event.ACCOUNT_CHANGED, account, by=by, context=context, what="external_id")


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


def change_role(*, member: Account, role: Role, by: Account | None, context: RequestContext | None) -> None:
    """Member to administrator and back; the caller has checked that this may be decided.

    Raises:
        Refusal: REQUEST_MALFORMED for an operator's account, or an administrator without an organisation.
    """
    with transaction.atomic():
        account = locked(member)
        if Role.OPERATOR in (account.role, role):
            raise Refusal(Reason.NOT_ALLOWED, OWNER_ONLY)
        if role == Role.ORGANISATION_ADMIN and account.organisation_id is None:
            raise Refusal(Reason.REQUEST_MALFORMED, "机构管理员须属于一个单位")
        was, account.role = account.role, role
        account.save(update_fields=["role"])
        row = record_change(Event.ACCOUNT_CHANGED, account, by=by, context=context, what="role", was=was, role=str(role))
        notify(NoticeKind.ROLE_CHANGED, account=account.pk, by=by, row=row, value=str(role))
    member.role = role


def move_account(*, member: Account, organisation: Organisation, by: Account | None, context: RequestContext | None) -> None:
    """Into another organisation, as an ordinary member: being administrator there is another decision. Bindings stay.

    Raises:
        Refusal: NOT_ALLOWED for an operator's account, REQUEST_MALFORMED for the organisation it belongs to or a merged one.
    """
    with transaction.atomic():
        target = require_open(organisation)  # before the account: a merger takes them in this order
        account = locked(member)
        if account.role == Role.OPERATOR:
            raise Refusal(Reason.NOT_ALLOWED, "operators belong to no organisation")
        if account.organisation_id == target.pk:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户已属于此单位")
        was, account.organisation, account.role = account.organisation_id, target, Role.MEMBER
        account.save(update_fields=["organisation", "role"])
        row = record_change(Event.ACCOUNT_MOVED, account, by=by, context=context, was=str(was or ""))
        notify(NoticeKind.MOVED, account=account.pk, by=by, row=row, value=target.name)
    member.organisation, member.role = organisation, Role.MEMBER


def set_lock_only(*, member: Account, value: bool | None, by: Account, context: RequestContext) -> None:
    """Whether the account goes by its lock alone once one is bound; None: as its organisation or the site says.

    An operator alone only turns it on: they can have the password reset, and off would let them in where the person wanted a lock.

    Raises:
        Refusal: NOT_FOUND; NOT_ALLOWED for an operator, who always does; SECOND_OPERATOR_NEEDED.
    """
    with transaction.atomic():
        actor = acting(by)
        require_authority(actor, locked(member))
        if actor.is_operator and value is not True:
            raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "two operators let passwords in again")
        write_lock_only(member=member, value=value, by=actor, context=context)


def write_lock_only(*, member: Account, value: bool | None, by: Account, context: RequestContext | None) -> None:
    """What was decided: for :func:`set_lock_only`, or an approval's act.

    Raises:
        Refusal: NOT_ALLOWED for an operator's account.
    """
    with transaction.atomic():
        account = locked(member)
        if account.role == Role.OPERATOR:
            raise Refusal(Reason.NOT_ALLOWED, "operators always go by their lock")
        account.lock_only = value
        account.save(update_fields=["lock_only"])
        row = record_change(Event.ACCOUNT_LOCK_ONLY_CHANGED, account, by=by, context=context, value=str(value))
        notify(NoticeKind.LOCK_ONLY_CHANGED, account=account.pk, by=by, row=row, value=str(value))
    member.lock_only = value


def locked(member: Account) -> Account:
    """The account as the database has it now, its row locked until the caller's transaction ends."""
    row: Account = Account.objects.select_for_update(no_key=True).get(pk=member.pk)
    return row


def record_change(
    event: Event, account: Account, *, by: Account | None, context: RequestContext | None, **details: str | int
) -> AuditEvent:
    """The audit row of a change to ``account``."""
    return record(event, context=context, actor=by, subject=account.pk, organisation=account.organisation_id, details=details)
