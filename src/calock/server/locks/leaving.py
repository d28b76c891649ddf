"""离职: somebody leaves the organisation, and their administrator ends everything at once.

Sessions, bindings and claims of the account end and it is disabled, in one transaction: half of it would leave a lock that logs in.
It takes what ending one binding of a member takes: the administrator alone, with a reason and a fresh proof. Operators have no such
act: they disable an account, and two of them end a binding. The way back is 启用; locks are bound anew.
"""

from __future__ import annotations

import uuid

from django.db import transaction

from calock.core.challenge import Purpose
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.authority import acting, clean_reason, require_authority
from calock.server.accounts.members import locked, write_account_state
from calock.server.accounts.models import Account, AccountState, Role
from calock.server.audit.attempts import counted
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.challenges.services import Aim
from calock.server.locks.claims import end_claim
from calock.server.locks.models import Binding, PendingBinding
from calock.server.locks.password_rules import refuse_power_after_reset
from calock.server.locks.step_up import Evidence, prove
from calock.server.locks.unbinding import end_of_leaver
from calock.server.locks.versions import take_turn
from calock.server.notices.models import NoticeKind
from calock.server.notices.services import notify
from calock.server.sessions.context import RequestContext
from calock.server.sessions.services import hold_sessions
from calock.server.tools.retry import again_when_broken_off


def leave(*, member: Account, reason: str, evidence: Evidence, by: Account, context: RequestContext) -> int:
    """End all that ``member`` could do, as ``by``, the administrator of their organisation; how many locks were unbound.

    Raises:
        Refusal: NOT_FOUND for everybody but an ordinary member of the own organisation; REASON_MISSING, REQUEST_MALFORMED when the
            account is disabled and has no lock, STEP_UP_REQUIRED, STEP_UP_FAILED, LOCK_PROOF_REQUIRED, PASSWORD_RESET_LATELY,
            PASSWORD_TRIES_USED_UP. Each is audited. TOO_MANY_ATTEMPTS, SERVER_BUSY.
    """
    with counted("unbind", Event.ACCOUNT_LEAVE_REFUSED, context=context, actor=by, subject=member.pk):
        _require_administrator(by, member)
        why = clean_reason(reason)
        proved = prove(by, evidence, aim=Aim(Purpose.STEPUP), context=context)
        refuse_power_after_reset(by, lock=proved.lock, at=context.at)
        return _leave(member, why, by=by, context=context)


def _require_administrator(by: Account, member: Account) -> None:
    if by.role != Role.ORGANISATION_ADMIN:
        raise Refusal(Reason.NOT_FOUND, "for administrators of organisations")
    require_authority(by, member)


@again_when_broken_off
def _leave(member: Account, reason: str, *, by: Account, context: RequestContext) -> int:
    with transaction.atomic():
        administrator, account = acting(by), locked(member)
        _require_administrator(administrator, account)
        bindings = list(Binding.objects.live().filter(account=account).select_related("account", "lock__provider").order_by("lock"))
        if account.state != AccountState.ACTIVE and not bindings:
            raise Refusal(Reason.REQUEST_MALFORMED, "该账户已停用，也没有绑定的 CA 锁")
        for binding in bindings:
            take_turn(binding.lock)  # all of them before the first session
        hold_sessions(account.pk)
        had_password = account.has_usable_password()
        for binding in bindings:
            end_of_leaver(binding, reason, by=by, context=context)
        for claim in PendingBinding.objects.filter(account=account).select_related("account", "provider"):
            end_claim(claim, by=by, context=context)
        write_account_state(member=account, state=AccountState.DISABLED, by=by, context=context)
        row = record(
            Event.ACCOUNT_LEFT,
            context=context,
            actor=by,
            subject=account.pk,
            organisation=account.organisation_id,
            details={"bindings": len(bindings), "reason": reason},
        )
        account.refresh_from_db(fields=["password"])
        ended = "1" if had_password and not account.has_usable_password() else ""
        notify(NoticeKind.LEFT, account=account.pk, by=by, row=row, locks=str(len(bindings)), password_ended=ended)
    return len(bindings)


def leaver_of(key: uuid.UUID, by: Account) -> Account:
    """The ordinary member of the administrator's organisation.

    Raises:
        Refusal: NOT_FOUND.
    """
    found: Account | None = Account.objects.select_related("organisation").filter(pk=key).first()
    if found is None:
        raise Refusal(Reason.NOT_FOUND, "no such account")
    _require_administrator(by, found)
    return found
