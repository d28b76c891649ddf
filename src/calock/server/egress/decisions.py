"""Letting this server talk to one more address takes two operators; taking an address away takes one."""

from __future__ import annotations

import hashlib

from django.db import IntegrityError, transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose, require_operator
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.egress.models import Destination
from calock.server.egress.purposes import listed_purposes, purpose_named
from calock.server.providers.validators import MAX_SOURCE, clean_address
from calock.server.sessions.context import RequestContext
from calock.server.tools import clock

DESTINATION_ADD = "egress.add"


def propose_destination(
    *, purpose: str, url: str, private_network: bool, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Ask a second operator to let this server talk to an address.

    Raises:
        Refusal: REQUEST_MALFORMED for a purpose without a list, no address, or one that is listed; or as
            ``approvals.services.propose``.
    """
    named = next((item for item in listed_purposes() if item.code == purpose), None)
    if named is None:
        raise Refusal(Reason.REQUEST_MALFORMED, "没有这种用途")
    url = clean_address(url)
    if len(url) > MAX_SOURCE:
        raise Refusal(Reason.REQUEST_MALFORMED, "地址过长")
    if Destination.objects.filter(purpose=purpose, url=url).exists():
        raise Refusal(Reason.REQUEST_MALFORMED, "该地址已在列表中")
    return propose(
        kind=DESTINATION_ADD,
        target=hashlib.sha256(f"{purpose} {url}".encode()).hexdigest(),
        payload={"purpose": purpose, "url": url, "private_network": private_network},
        summary=f"添加出口地址：{named.title} · {url}",
        reason=reason,
        by=by,
        context=context,
    )


def add_destination(
    *, purpose: str, url: str, private_network: bool, by: Account | None, context: RequestContext | None, approval: str = ""
) -> Destination:
    """List an address. ``by`` None is the server's owner, who sets the machine up; operators go through a proposal.

    Raises:
        Refusal: VERSION_CHANGED when it is listed by now.
    """
    row = Destination(purpose=purpose, url=url, private_network=private_network, added_at=clock.now())
    row.mac = row.expected_mac()
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            _note(row, "added", by, context, approval)
    except IntegrityError as error:
        raise Refusal(Reason.VERSION_CHANGED, "the address is listed by now") from error
    return row


def remove_destination(*, destination: Destination, by: Account, context: RequestContext | None) -> None:
    """Talk to this address no more.

    Raises:
        Refusal: NOT_ALLOWED, NOT_FOUND when somebody else removed it at this moment.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        deleted, _ = Destination.objects.filter(pk=destination.pk).delete()
        if not deleted:
            raise Refusal(Reason.NOT_FOUND, "the address is gone")
        _note(destination, "removed", operator, context, "")


def _note(row: Destination, step: str, by: Account | None, context: RequestContext | None, approval: str) -> None:
    what = {"step": step, "purpose": row.purpose, "url": row.url} | ({"approval": approval} if approval else {})
    record(
        Event.EGRESS_CHANGED, context=context, actor=by, subject=row.pk, details={**what, "private_network": row.private_network}
    )


def _add(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    payload = approval.payload
    add_destination(
        purpose=payload["purpose"],
        url=payload["url"],
        private_network=payload["private_network"],
        by=operator,
        context=context,
        approval=str(approval.pk),
    )


def _facts(approval: Approval) -> list[tuple[str, str]]:
    payload = approval.payload
    purpose = purpose_named(payload["purpose"])
    private = "内网：本服务器将连接这台内网主机，请确认它确实由本单位提供"
    return [
        ("用途", purpose.title if purpose else payload["purpose"]),
        ("地址", payload["url"]),
        ("网络", Alarm(private) if payload["private_network"] else "公网"),
        ("通过后", Alarm("本服务器会向这个地址发送该用途的数据")),
    ]


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(DESTINATION_ADD, "添加出口地址", _add, _facts))
