"""Registering and changing applications: two operators decide; one may suspend an application, and two let it in again."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

import msgspec
from django.db import IntegrityError, transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.applications.models import OWN_ADDRESSES, Application, ApplicationState, OwnAddress
from calock.server.applications.wishes import MAX_KEYS, Wish, clean
from calock.server.applications.words import facts_of
from calock.server.approvals.kinds import Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import clean_reason, propose, require_operator
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.sessions.context import RequestContext
from calock.server.sites.registry import sites
from calock.server.tools import clock
from calock.server.tools.digests import digest

KIND = "application"
SECRET_PREFIX = "calock-"  # noqa: S105 - how a secret begins, so that scanners of source code find one that leaked


def propose_application(
    *,
    values: object,
    reason: str,
    by: Account,
    context: RequestContext | None,
    of: Application | None = None,
    version: int = 0,
    state: ApplicationState = ApplicationState.ENABLED,
) -> Approval:
    """Ask a second operator to register an application, or to change ``of`` into what ``values`` say.

    Raises:
        Refusal: NOT_ALLOWED, APPLICATION_REFUSED, VERSION_CHANGED, REASON_MISSING, APPROVAL_WAITING.
    """
    wish = clean(values)
    if wish.site not in sites():
        raise Refusal(Reason.APPLICATION_REFUSED, "site")
    if of is not None and of.version != version:
        raise Refusal(Reason.VERSION_CHANGED, "the application changed since the page was opened")
    if of is not None and (of.client_id, of.site) != (wish.client_id, wish.site):
        raise Refusal(Reason.APPLICATION_REFUSED, "应用标识和站点登记后不可更改")
    if of is None and Application.objects.filter(client_id=wish.client_id).exists():
        raise Refusal(Reason.APPLICATION_REFUSED, "应用标识已被使用")
    require_own_addresses(wish)
    return propose(
        kind=KIND,
        target=str(of.pk if of is not None else uuid.uuid5(uuid.NAMESPACE_URL, f"calock:application:{wish.client_id}")),
        target_version=of.version if of is not None else 0,
        payload={"wish": msgspec.to_builtins(wish), "state": str(state)},
        summary=f"{'变更应用' if of is not None else '登记应用'}：{wish.name}（{wish.client_id}）",
        reason=reason,
        by=by,
        context=context,
    )


def require_own_addresses(wish: Wish) -> None:
    """Raise APPLICATION_REFUSED for an address whose people, by CAS or the gate, are sent to another application already."""
    for row in Application.objects.filter(site=wish.site).exclude(client_id=wish.client_id):
        for name in OWN_ADDRESSES:
            taken = {address.rstrip("/") for address in row.content.get(name, ())}
            for address in getattr(wish, name):
                if address.rstrip("/") in taken:
                    raise Refusal(Reason.APPLICATION_REFUSED, f"{name}：已由应用 {row.client_id} 登记：{address[:80]}")


def propose_new_secret(
    *, application: Application, version: int, reason: str, by: Account, context: RequestContext | None
) -> tuple[Approval, str]:
    """Propose another client secret beside the one in use; also the secret, which is told this once and kept as its SHA-256.

    Raises:
        Refusal: as :func:`propose_application`; APPLICATION_REFUSED while two are in use.
    """
    wish = application.wish
    if len(wish.secrets) >= MAX_KEYS:
        raise Refusal(Reason.APPLICATION_REFUSED, "已有两个密钥，请先停用旧密钥")
    secret = new_secret()
    values = {**msgspec.to_builtins(wish), "secrets": [digest(secret), *wish.secrets]}
    approval = propose_application(
        values=values, reason=reason, by=by, context=context, of=application, version=version, state=_state(application)
    )
    return approval, secret


def propose_without_old_secret(
    *, application: Application, version: int, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Propose that of two client secrets the newer alone counts.

    Raises:
        Refusal: as :func:`propose_application`.
    """
    values = {**msgspec.to_builtins(application.wish), "secrets": list(application.wish.secrets[:1])}
    return propose_application(
        values=values, reason=reason, by=by, context=context, of=application, version=version, state=_state(application)
    )


def _state(application: Application) -> ApplicationState:
    return ApplicationState(application.state)


def new_secret() -> str:
    """A client secret of 256 random bits."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def suspend_application(*, application: Application, reason: str, by: Account, context: RequestContext | None) -> None:
    """Stop all logins there. One operator may; letting people in again takes two.

    Raises:
        Refusal: NOT_ALLOWED, REASON_MISSING, REGISTER_DAMAGED.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        row = Application.objects.select_for_update().get(pk=application.pk)
        _ = row.wish
        row.state = ApplicationState.SUSPENDED
        store(row)
        record(
            Event.APPLICATION_SUSPENDED,
            context=context,
            actor=operator,
            subject=row.pk,
            details={"client": row.client_id, "reason": clean_reason(reason)},
        )


def store(row: Application, *, new: bool = False) -> None:
    """Seal and save a row that was changed, inside the caller's transaction, which writes the audit row."""
    row.changed_at = clock.now()
    if new:
        row.created_at = row.changed_at
    else:
        row.version += 1
    row.seal()
    row.save(force_insert=new)
    _claim_addresses(row)


def _claim_addresses(row: Application) -> None:
    """Let the database hold them against those of others: two that are registered at the same moment do not see each other."""
    own = {(name, address.rstrip("/")) for name in OWN_ADDRESSES for address in getattr(row.wish, name)}
    row.own_addresses.all().delete()
    try:
        with transaction.atomic():
            OwnAddress.objects.bulk_create(
                OwnAddress(application=row, site=row.site, field=name, address=address) for name, address in sorted(own)
            )
    except IntegrityError as error:
        raise Refusal(Reason.APPLICATION_REFUSED, "地址已由另一个应用登记") from error


def _register(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    """The act behind an approval."""
    wish = clean(approval.payload["wish"])
    require_own_addresses(wish)
    row = Application.objects.select_for_update().filter(pk=approval.target).first()
    if (row.version if row is not None else 0) != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the application changed since the proposal")
    new = row is None
    if row is None:
        row = Application(pk=uuid.UUID(approval.target))
    else:
        _ = row.wish  # what somebody wrote into the row is not sealed along
    row.adopt(wish)
    row.state = ApplicationState(approval.payload["state"])
    store(row, new=new)
    details: dict[str, Any] = {"client": row.client_id, "version": row.version, "state": str(row.state)}
    record(
        Event.APPLICATION_REGISTERED if new else Event.APPLICATION_CHANGED,
        context=context,
        actor=operator,
        subject=row.pk,
        details={**details, "approval": str(approval.pk)},
    )


def _facts(approval: Approval) -> list[tuple[str, str]]:
    row = Application.objects.filter(pk=approval.target).first()
    before = row.wish if row is not None and row.is_intact() else None
    wish = msgspec.convert(approval.payload["wish"], Wish)
    return facts_of(wish, before, state=approval.payload["state"], was=str(row.state) if row is not None else "")


def register_kinds() -> None:
    """Name the decision of this domain; called once at start-up."""
    register_kind(Kind(KIND, "登记或变更应用", _register, _facts))
