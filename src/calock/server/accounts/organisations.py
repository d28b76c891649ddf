"""Verbs of organisations.

A firm that changes its name keeps its row; one that gets another 统一社会信用代码 does too, by decision of two operators. Former
names and codes stay (``OrganisationName``) and are found by the searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction

from calock.core.checks.identity import uscc_valid
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import acting, require_operator
from calock.server.accounts.models import Account, Role
from calock.server.audit.canonical import clean
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationName, OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions

MAX_NAME = 200


def create_organisation(
    *, name: str, uscc: str, kind: OrganisationKind, by: Account | None = None, context: RequestContext | None = None
) -> Organisation:
    """``by`` None is the server's owner at the command line.

    Raises:
        Refusal: NOT_ALLOWED; REQUEST_MALFORMED: no name, a 统一社会信用代码 whose check character is wrong (GB 32100), or one that
            another organisation has or had.
    """
    name, uscc = clean_organisation_name(name), clean_uscc(uscc)
    with transaction.atomic():
        if by is not None:
            require_operator(by.pk)
        try:
            with transaction.atomic():
                organisation = Organisation.objects.create(name=name, uscc=uscc, kind=kind)
        except IntegrityError as error:  # two at once: the unique constraint decides
            if not Organisation.objects.filter(uscc=uscc).exists():
                raise
            raise Refusal(Reason.REQUEST_MALFORMED, "已有单位使用该统一社会信用代码") from error
        require_unused(uscc, but=organisation)
        record(Event.ORGANISATION_CREATED, context=context, actor=by, subject=organisation.pk, organisation=organisation.pk)
    return organisation


def clean_organisation_name(name: str) -> str:
    """The name as one line.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    text = " ".join(name.split())
    if not text or clean(text, MAX_NAME) != text:
        raise Refusal(Reason.REQUEST_MALFORMED, f"单位名称为 1 至 {MAX_NAME} 个字")
    return text


def clean_uscc(uscc: str) -> str:
    """The code in upper case.

    Raises:
        Refusal: REQUEST_MALFORMED when its check character does not hold (GB 32100-2015 clause 5.1.5).
    """
    text = uscc.strip().upper()
    if not uscc_valid(text):
        raise Refusal(Reason.REQUEST_MALFORMED, "统一社会信用代码的校验码不正确")
    return text


def require_unused(uscc: str, *, but: Organisation) -> None:
    """A code names one firm for good: a code that another organisation had before is refused.

    Raises:
        Refusal: REQUEST_MALFORMED.
    """
    former = OrganisationName.objects.filter(uscc=uscc)
    taken = former.exclude(organisation=but).select_related("organisation").first()
    if taken is not None:
        raise Refusal(Reason.REQUEST_MALFORMED, f"该统一社会信用代码曾由“{taken.organisation.name}”使用")


def set_organisation_state(*, organisation: Organisation, state: OrganisationState, by: Account, context: RequestContext) -> int:
    """Disable or enable an organisation. Disabling ends every session of its members at once; returns how many.

    Raises:
        Refusal: NOT_ALLOWED unless ``by`` is an active operator; REQUEST_MALFORMED for one that was merged into another.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        row = _locked(organisation)
        if OrganisationState.MERGED in (row.state, state):
            raise Refusal(Reason.REQUEST_MALFORMED, "该单位已并入其他单位")
        again = row.state == state
        row.state = organisation.state = state
        disabled = state != OrganisationState.ACTIVE
        if not disabled and not again:  # a second press ends nobody's session
            row.enabled_at = context.at
        row.save(update_fields=["state", "enabled_at"])
        members = Session.objects.filter(account__organisation=organisation)
        ended = end_sessions(members, reason="organisation disabled", at=context.at) if disabled else 0
        record(
            Event.ORGANISATION_DISABLED if disabled else Event.ORGANISATION_ENABLED,
            context=context,
            actor=operator,
            subject=organisation.pk,
            organisation=organisation.pk,
            details={"sessions_ended": ended},
        )
    return ended


def rename_organisation(
    *, organisation: Organisation, name: str, version: int, by: Account, context: RequestContext
) -> Organisation:
    """Another name under the same code: what decides whose lock is whose is the code, so one operator may.

    Raises:
        Refusal: NOT_ALLOWED, REQUEST_MALFORMED, VERSION_CHANGED.
    """
    name = clean_organisation_name(name)
    with transaction.atomic():
        operator = require_operator(by.pk)
        row = open_row(organisation, version)
        if row.name != name:
            _change(row, name=name, uscc=row.uscc, at=context.at)
            _record_change(row, by=operator, context=context, what="name")
    return row


def write_imported(organisation: Organisation, changes: Mapping[str, str], *, by: Account | None, at: datetime) -> None:
    """Another name or kind, as a list says that two operators read, or the server's owner (``by`` None).

    Raises:
        Refusal: VERSION_CHANGED, REQUEST_MALFORMED.
    """
    with transaction.atomic():
        row = open_row(organisation, organisation.version)
        if "kind" in changes:
            row.kind = changes["kind"]
            row.save(update_fields=["kind"])
            _record_change(row, by=by, context=None, what="kind")
        if "name" in changes:
            _change(row, name=changes["name"], uscc=row.uscc, at=at)
            _record_change(row, by=by, context=None, what="name")


def set_lock_only(*, organisation: Organisation, value: bool | None, by: Account, context: RequestContext) -> None:
    """Whether the organisation's members go by their lock alone once one is bound; None: as the site says.

    An operator alone only turns it on, as with an account's own switch.

    Raises:
        Refusal: NOT_ALLOWED for who is neither operator nor an administrator of this organisation; SECOND_OPERATOR_NEEDED.
    """
    with transaction.atomic():
        actor = acting(by)
        own = actor.role == Role.ORGANISATION_ADMIN and actor.organisation_id == organisation.pk
        if not (actor.is_operator or own):
            raise Refusal(Reason.NOT_ALLOWED, "for operators and the organisation's administrators")
        if actor.is_operator and value is not True:
            raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "two operators let passwords in again")
        write_lock_only(organisation=organisation, value=value, by=actor, context=context)


def write_lock_only(*, organisation: Organisation, value: bool | None, by: Account, context: RequestContext | None) -> None:
    """What was decided: for :func:`set_lock_only`, or an approval's act."""
    with transaction.atomic():
        row = _locked(organisation)
        row.lock_only = organisation.lock_only = value
        row.save(update_fields=["lock_only"])
        details = {"value": str(value)}
        event = Event.ORGANISATION_LOCK_ONLY_CHANGED
        record(event, context=context, actor=by, subject=row.pk, organisation=row.pk, details=details)


def change_code(
    *, organisation: Organisation, name: str, uscc: str, version: int, by: Account, at: datetime, context: RequestContext | None
) -> Organisation:
    """Another 统一社会信用代码, as two operators decided: inside the approval's transaction.

    Bindings stay: the locks go on logging in, and renewed certificates are judged by the new code when they are bound.

    Raises:
        Refusal: REQUEST_MALFORMED, VERSION_CHANGED.
    """
    name, uscc = clean_organisation_name(name), clean_uscc(uscc)
    row = open_row(organisation, version)
    require_unused(uscc, but=row)
    was = row.uscc
    try:
        with transaction.atomic():
            _change(row, name=name, uscc=uscc, at=at)
    except IntegrityError as error:  # another organisation has it: the unique constraint decides
        raise Refusal(Reason.REQUEST_MALFORMED, "已有单位使用该统一社会信用代码，如系同一单位请改用合并") from error
    _record_change(row, by=by, context=context, what="code", was=was, code=uscc)
    return row


def merge_organisation(
    *, source: Organisation, target: Organisation, version: int, by: Account, context: RequestContext | None
) -> int:
    """Move every member of ``source`` to ``target``, as two operators decided; how many. Inside the approval's transaction.

    Administrators become ordinary members: power over the other firm's people is another decision. ``source`` stays as a row that
    says where it went; its code and names lead to ``target``. Bindings stay.

    Raises:
        Refusal: REQUEST_MALFORMED, VERSION_CHANGED.
    """
    if source.pk == target.pk:
        raise Refusal(Reason.REQUEST_MALFORMED, "单位不能并入自身")
    _ = list(Organisation.objects.select_for_update(no_key=True).filter(pk__in=(source.pk, target.pk)).order_by("pk"))
    row, into = open_row(source, version), _locked(target)
    if into.state == OrganisationState.MERGED:
        raise Refusal(Reason.REQUEST_MALFORMED, "目标单位已并入其他单位")
    members = Account.objects.filter(organisation=row)
    moved = list(members.select_for_update(no_key=True).order_by("pk"))
    for member in moved:
        member.organisation, member.role = into, Role.MEMBER
        member.save(update_fields=["organisation", "role"])
    row.state, row.merged_into, row.version = OrganisationState.MERGED, into, row.version + 1
    row.save(update_fields=["state", "merged_into", "version"])
    details: dict[str, str | int] = {"into": str(into.pk), "members": len(moved)}
    event = record(Event.ORGANISATION_MERGED, context=context, actor=by, subject=row.pk, organisation=into.pk, details=details)
    for member in moved:
        notify(NoticeKind.MOVED, account=member.pk, by=by, row=event, value=into.name)
    return len(moved)


def _locked(organisation: Organisation) -> Organisation:
    return Organisation.objects.select_for_update(no_key=True).get(pk=organisation.pk)


def open_row(organisation: Organisation, version: int) -> Organisation:
    """The organisation's row, locked, still the one that was read and not merged.

    Raises:
        Refusal: VERSION_CHANGED, REQUEST_MALFORMED.
    """
    row = _locked(organisation)
    if row.version != version:
        raise Refusal(Reason.VERSION_CHANGED, "the organisation changed since the page was opened")
    if row.state == OrganisationState.MERGED:
        raise Refusal(Reason.REQUEST_MALFORMED, "该单位已并入其他单位")
    return row


def require_open(organisation: Organisation) -> Organisation:
    """Lock the organisation's row and make sure that it still takes members.

    Raises:
        Refusal: REQUEST_MALFORMED when it was merged into another one.
    """
    now = _locked(organisation)
    if now.state == OrganisationState.MERGED:
        raise Refusal(Reason.REQUEST_MALFORMED, "该单位已并入其他单位")
    return now


def _change(row: Organisation, *, name: str, uscc: str, at: datetime) -> None:
    last = OrganisationName.objects.filter(organisation=row).order_by("-until").values_list("until", flat=True).first()
    OrganisationName.objects.create(organisation=row, name=row.name, uscc=row.uscc, since=last or row.created_at, until=at)
    row.name, row.uscc, row.version = name, uscc, row.version + 1
    row.save(update_fields=["name", "uscc", "version"])


def _record_change(row: Organisation, *, by: Account | None, context: RequestContext | None, **details: str) -> None:
    record(Event.ORGANISATION_CHANGED, context=context, actor=by, subject=row.pk, organisation=row.pk, details=details)
