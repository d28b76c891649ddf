"""Verbs of organisations."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from calock.core.checks.identity import uscc_valid
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.organisations.models import Organisation, OrganisationKind, OrganisationState
from calock.server.sessions.context import RequestContext
from calock.server.sessions.models import Session
from calock.server.sessions.services import end_sessions


def create_organisation(
    *, name: str, uscc: str, kind: OrganisationKind, by: Account | None = None, context: RequestContext | None = None
) -> Organisation:
    """``by`` None is the server's owner at the command line.

    Raises:
        Refusal: REQUEST_MALFORMED: no name, a 统一社会信用代码 whose check character is wrong (GB 32100), or one that exists.
    """
    if not name.strip() or len(name) > 200:
        raise Refusal(Reason.REQUEST_MALFORMED, "an organisation has a name of at most 200 characters")
    if not uscc_valid(uscc):
        raise Refusal(Reason.REQUEST_MALFORMED, "the check character of the 统一社会信用代码 does not hold")
    with transaction.atomic():
        try:
            with transaction.atomic():
                organisation = Organisation.objects.create(name=name.strip(), uscc=uscc, kind=kind)
        except IntegrityError as error:  # two at once: the unique constraint decides
            if not Organisation.objects.filter(uscc=uscc).exists():
                raise
            raise Refusal(Reason.REQUEST_MALFORMED, "an organisation with this 统一社会信用代码 exists") from error
        record(Event.ORGANISATION_CREATED, context=context, actor=by, subject=organisation.pk, organisation=organisation.pk)
    return organisation


def set_organisation_state(*, organisation: Organisation, state: OrganisationState, by: Account, context: RequestContext) -> int:
    """Disable or enable an organisation. Disabling ends every session of its members at once; returns how many.

    Raises:
        Refusal: NOT_ALLOWED unless ``by`` is an active operator.
    """
    with transaction.atomic():
        operator = Account.objects.filter(pk=by.pk).first()
        if operator is None or not operator.is_active or not operator.is_operator:
            raise Refusal(Reason.NOT_ALLOWED, "only an active operator may do this")
        Organisation.objects.filter(pk=organisation.pk).update(state=state)
        organisation.state = state
        disabled = state != OrganisationState.ACTIVE
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
