"""Bindings that an administrator made for a member: told to the member, or waiting for somebody's consent, as the site says."""

from __future__ import annotations

import uuid

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account, Role
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.locks.models import Awaits, Binding
from calock.server.locks.password_rules import refuse_password_as_proof, refuse_power_after_reset
from calock.server.locks.row_seals import require_intact
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import Own, notify
from calock.server.providers.models import CaRecord, CaState
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import is_fresh_by_lock, require_fresh
from calock.server.sites.registry import sites


def awaited(*, member: Account, by: Account | None, ca: str) -> str:
    """Whose consent a binding that ``by`` makes for ``member`` waits for; empty when it waits for none.

    A lock logs in on every site that recognises its CA (``ca``: SPKI SHA-256), wherever it was bound: the strictest of their
    profiles decides, not the one of the site that ``by`` happens to be on. ``by`` None is the server's owner.
    """
    if by is not None and member.pk == by.pk:
        return ""
    records = CaRecord.objects.exclude(state=CaState.PENDING).filter(spki_sha256=ca).select_related("provider")
    opened = {site for record in records for site in record.provider.sites}
    asked = {profile.members.bind_for_member for code, profile in sites().items() if code in opened}
    return next((whom.value for whom in (Awaits.MEMBER, Awaits.ADMINISTRATOR) if whom in asked), "")


def may_confirm(binding: Binding, by: Account) -> bool:
    """The member themselves, or an administrator of theirs who did not make the binding."""
    if binding.awaits == Awaits.MEMBER:
        return binding.account_id == by.pk
    same = by.organisation_id is not None and by.organisation_id == binding.account.organisation_id
    same = same and binding.account.role == Role.MEMBER
    return binding.awaits == Awaits.ADMINISTRATOR and same and by.role == Role.ORGANISATION_ADMIN and by.pk != binding.bound_by_id


def confirm_binding(*, binding: uuid.UUID, by: Account, context: RequestContext) -> Binding:
    """Give the consent that a binding waits for: from now on the lock logs in.

    Raises:
        Refusal: BINDING_NOT_FOUND for a binding that waits for no consent or for another person's; STEP_UP_REQUIRED,
            LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY, RECORD_DAMAGED. Each is audited. TOO_MANY_ATTEMPTS.
    """
    details = {"binding": str(binding)}
    with counted("bind", Event.BINDING_CONFIRM_REFUSED, context=context, actor=by, subject=by.pk, details=details):
        return _confirm(binding, by=by, context=context)


def _confirm(binding: uuid.UUID, *, by: Account, context: RequestContext) -> Binding:
    session = require_fresh(context)
    by_lock = is_fresh_by_lock(session, at=context.at)
    if not by_lock:
        refuse_password_as_proof(by, site=context.site, at=context.at)
    with transaction.atomic():
        rows = Binding.objects.live().select_related("account", "lock__provider")
        row: Binding | None = rows.select_for_update(of=("self",), no_key=True).filter(pk=binding).first()
        if row is None or not may_confirm(row, by):
            raise Refusal(Reason.BINDING_NOT_FOUND, "nothing that waits for this account")
        if row.account_id != by.pk:
            refuse_power_after_reset(by, lock=session.proved_lock_id if by_lock else None, at=context.at)
        require_intact(row)
        row.awaits = ""
        row.save(update_fields=["awaits"])
        event = record(
            Event.BINDING_CONFIRMED,
            context=context,
            actor=by,
            subject=row.account_id,
            organisation=row.account.organisation_id,
            lock=row.lock_id,
            provider=row.lock.provider.code,
            details={"binding": str(row.pk)},
        )
        notify(NoticeKind.LOCK_BOUND, account=row.account_id, by=by, row=event, own=Own.QUIETLY, lock=row.lock.lock_id)
    return row
