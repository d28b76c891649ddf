"""Where revocation data of a CA comes from: addresses that an operator named, and no others.

A public address takes one operator: what comes from it must still be signed by the CA. An address in a private network takes two,
since it makes this server talk to a machine inside.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import transaction

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.approvals.services import propose, require_operator
from calock.server.audit.events import Event
from calock.server.providers.anchors import locked_record
from calock.server.providers.models import CaRecord, CaState, RevocationSource, SourceKind, open_register
from calock.server.providers.register_audit import record_change
from calock.server.providers.services import clean_row
from calock.server.providers.validators import MAX_SOURCES, clean_address, refuse_more_than
from calock.server.sessions.context import RequestContext

PRIVATE_SOURCE = "source.private"


def new_source(*, record: CaRecord, kind: str, url: str, private_network: bool) -> RevocationSource:
    """A source that may be saved.

    Raises:
        Refusal: REQUEST_MALFORMED: not http or https, known already, too many, or no CA that has sources.
    """
    if record.state == CaState.WITHDRAWN or record.crl_signer:
        raise Refusal(Reason.REQUEST_MALFORMED, "已撤回的 CA 与仅签发 CRL 的证书没有吊销信息来源")
    refuse_more_than(MAX_SOURCES, record.revocation_sources.count(), "吊销信息来源")
    source = RevocationSource(ca_record=record, kind=kind, url=clean_address(url), private_network=private_network)
    clean_row(source)
    return source


def add_source(
    *, record: CaRecord, kind: str, url: str, private_network: bool, by: Account, context: RequestContext | None
) -> RevocationSource:
    """Add a public address from which revocation data of this CA is fetched.

    Raises:
        Refusal: NOT_ALLOWED, REQUEST_MALFORMED, NOT_FOUND, SECOND_OPERATOR_NEEDED for an address in a private network.
    """
    if private_network:
        raise Refusal(Reason.SECOND_OPERATOR_NEEDED, "an address in a private network is proposed, not added")
    with transaction.atomic():
        operator = require_operator(by.pk)
        open_register()
        fresh = locked_record(record)
        source = new_source(record=fresh, kind=kind, url=url, private_network=False)
        source.save(force_insert=True)
        _note(source, "added", operator, context)
    return source


def propose_private_source(
    *, record: CaRecord, kind: str, url: str, reason: str, by: Account, context: RequestContext | None
) -> Approval:
    """Ask to fetch revocation data of this CA from an address in a private network.

    Raises:
        Refusal: REQUEST_MALFORMED, NOT_FOUND, or as ``approvals.services.propose``.
    """
    with transaction.atomic():
        require_operator(by.pk)
        open_register()
        fresh = locked_record(record)
        source = new_source(record=fresh, kind=kind, url=url, private_network=True)
        return propose(
            kind=PRIVATE_SOURCE,
            target=hashlib.sha256(f"{fresh.pk} {source.kind} {source.url}".encode()).hexdigest(),
            target_version=fresh.version,
            payload={"record": str(fresh.pk), "kind": str(source.kind), "url": source.url},
            summary=f"添加内网吊销信息来源：{fresh.provider.name} · {source.url}",
            reason=reason,
            by=by,
            context=context,
        )


def _add_private(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    payload = approval.payload
    record = CaRecord.objects.select_for_update(no_key=True).select_related("provider").filter(pk=payload["record"]).first()
    if record is None:
        raise Refusal(Reason.NOT_FOUND, "the CA record is gone")
    if record.version != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the CA record changed since the proposal")
    source = new_source(record=record, kind=payload["kind"], url=payload["url"], private_network=True)
    source.save(force_insert=True)
    _note(source, "added", operator, context, approval=str(approval.pk))


def _facts(approval: Approval) -> list[tuple[str, str]]:
    payload = approval.payload
    record = CaRecord.objects.select_related("provider").filter(pk=payload["record"]).first()
    if record is None:
        return [("CA 证书", "已不存在")]
    return [
        ("CA 服务商", record.provider.name),
        ("CA 证书", record.subject),
        ("公钥 SHA-256", record.spki_sha256),
        ("类型", SourceKind(payload["kind"]).label),
        ("内网地址", payload["url"]),
        ("通过后", Alarm("本服务器将定期连接这台内网主机。请确认它确实由该 CA 或本单位提供吊销信息。")),
    ]


def remove_source(*, source: RevocationSource, by: Account, context: RequestContext | None) -> None:
    """Take an address away. Revocation data already held keeps its own life.

    Raises:
        Refusal: NOT_ALLOWED, NOT_FOUND when somebody else did at this moment: one removal, one audit row.
    """
    with transaction.atomic():
        operator = require_operator(by.pk)
        open_register()
        fresh = RevocationSource.objects.select_related("ca_record__provider").filter(pk=source.pk).first()
        if fresh is None:
            raise Refusal(Reason.NOT_FOUND, "the address is gone")
        fresh.delete()
        _note(fresh, "removed", operator, context)


def _note(source: RevocationSource, step: str, operator: Account, context: RequestContext | None, **more: Any) -> None:
    details = {
        "step": step,
        "kind": str(source.kind),
        "url": source.url,
        "private_network": source.private_network,
        "spki_sha256": source.ca_record.spki_sha256,
        **more,
    }
    record_change(Event.REVOCATION_SOURCE_CHANGED, source.ca_record.provider, operator, context, details)


def register_kinds() -> None:
    """Name this decision; called once at start-up."""
    register_kind(Kind(PRIVATE_SOURCE, "添加内网吊销信息来源", _add_private, _facts, ahead=open_register))
