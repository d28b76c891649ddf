"""What happens when a second operator approved: the acts on providers and CA records, and what he reads before."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.context import RequestContext
from calock.server.providers.anchors import CA_RECOGNISE, CA_RESUME, CA_SUSPEND, CA_WITHDRAW, FROM_STATES
from calock.server.providers.certificates import CaFile, issued_by, read_ca_certificate
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState
from calock.server.providers.services import PROVIDER_TRUST, has_anchor, record_change
from calock.server.providers.standing import end_sessions_without_ground

_TO_STATE = {CA_SUSPEND: CaState.SUSPENDED, CA_WITHDRAW: CaState.WITHDRAWN, CA_RESUME: CaState.RECOGNISED}
_EVENT = {CA_SUSPEND: Event.ANCHOR_SUSPENDED, CA_WITHDRAW: Event.ANCHOR_WITHDRAWN, CA_RESUME: Event.ANCHOR_RESUMED}


def _record_of(approval: Approval) -> CaRecord:
    record = CaRecord.objects.select_for_update().select_related("provider").filter(pk=approval.target).first()
    if record is None:
        raise Refusal(Reason.NOT_FOUND, "the CA record is gone")
    if record.version != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the CA record changed since the proposal")
    return record


def _recognise(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    record = _record_of(approval)
    payload = approval.payload
    ca = read_ca_certificate(base64.b64decode(payload["certificate"]), at=timezone.now())
    if ca.spki_sha256 != record.spki_sha256:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "the proposal holds another key than the record")
    record.certificate = ca.der
    record.subject, record.not_before, record.not_after = ca.subject, ca.not_before, ca.not_after
    record.group, record.anchor = payload["group"], payload["anchor"]
    record.state = CaState.RECOGNISED
    record.save()
    details = {"cert_sha256": ca.sha256, "spki_sha256": ca.spki_sha256, "anchor": record.anchor, "group": record.group}
    record_change(Event.ANCHOR_APPROVED, record.provider, operator, context, {**details, "approval": str(approval.pk)})


def _change_state(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    record = _record_of(approval)
    if record.state not in FROM_STATES[approval.kind]:
        raise Refusal(Reason.VERSION_CHANGED, f"a {record.state} record cannot take this step")
    record.state = _TO_STATE[approval.kind]
    record.save()
    details: dict[str, Any] = {"spki_sha256": record.spki_sha256, "anchor": record.anchor, "approval": str(approval.pk)}
    details |= settle(record.provider, timezone.now())
    record_change(_EVENT[approval.kind], record.provider, operator, context, details)


def settle(provider: Provider, at: datetime) -> dict[str, Any]:
    """Nothing stays standing on what is gone: a provider without an anchor is suspended, and sessions without ground end."""
    suspended = provider.state == ProviderState.ENABLED and not has_anchor(provider)
    if suspended:
        provider.state = ProviderState.SUSPENDED
        provider.save()
    return {"sessions_ended": end_sessions_without_ground(provider, at=at), "provider_suspended": suspended}


def _change_trust(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    provider = Provider.objects.select_for_update().filter(pk=approval.target).first()
    if provider is None:
        raise Refusal(Reason.NOT_FOUND, "the provider is gone")
    if provider.version != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the provider changed since the proposal")
    payload = approval.payload
    if payload["state"] == ProviderState.ENABLED and not has_anchor(provider):
        raise Refusal(Reason.PROVIDER_WITHOUT_ANCHOR, "no recognised anchor")
    was = provider.state
    provider.state, provider.sites, provider.rules = payload["state"], payload["sites"], payload["rules"]
    provider.allow_expired_binding = payload["allow_expired_binding"]
    provider.save()
    ended = end_sessions_without_ground(provider, at=timezone.now())
    details = {**payload, "was": was, "sessions_ended": ended, "approval": str(approval.pk)}
    resumed = was != ProviderState.ENABLED and provider.state == ProviderState.ENABLED
    record_change(Event.PROVIDER_RESUMED if resumed else Event.PROVIDER_CHANGED, provider, operator, context, details)


def certificate_facts(ca: CaFile) -> list[tuple[str, str]]:
    """What identifies a CA certificate, for a page."""
    return [
        ("主题", ca.subject),
        ("签发者", ca.issuer),
        ("公钥", ca.key),
        ("证书 SHA-256", ca.sha256),
        ("公钥 SHA-256", ca.spki_sha256),
        ("有效期", f"{date_format(ca.not_before, 'Y-m-d')} 至 {date_format(ca.not_after, 'Y-m-d')}"),
    ]


def _recognise_facts(approval: Approval) -> list[tuple[str, str]]:
    record = CaRecord.objects.select_related("provider").filter(pk=approval.target).first()
    if record is None:
        return [("CA 证书", "已不存在")]
    der = base64.b64decode(approval.payload["certificate"])
    try:
        facts = certificate_facts(read_ca_certificate(der, at=timezone.now()))
    except Refusal as refusal:
        facts = [("现在不可接受", refusal.detail)]
    above = [r for r in record.provider.ca_records.filter(state=CaState.RECOGNISED) if issued_by(der, bytes(r.certificate))]
    role = (
        "信任锚" if approval.payload["anchor"] else "中间 CA，上级：" + (above[0].subject if above else "未在登记中，路径不会成立")
    )
    return [("CA 服务商", record.provider.name), ("用途", role), ("CA 组", approval.payload["group"]), *facts]


def _state_facts(approval: Approval) -> list[tuple[str, str]]:
    record = CaRecord.objects.select_related("provider").filter(pk=approval.target).first()
    if record is None:
        return [("CA 证书", "已不存在")]
    return [
        ("CA 服务商", record.provider.name),
        ("CA 证书", record.subject),
        ("公钥 SHA-256", record.spki_sha256),
        ("状态", f"{record.get_state_display()} → {_TO_STATE[approval.kind].label}"),
    ]


def _trust_facts(approval: Approval) -> list[tuple[str, str]]:
    provider = Provider.objects.filter(pk=approval.target).first()
    if provider is None:
        return [("CA 服务商", "已不存在")]
    payload, facts = approval.payload, [("CA 服务商", provider.name)]
    if provider.state != payload["state"]:
        facts.append(("状态", f"{provider.get_state_display()} → {ProviderState(payload['state']).label}"))
    if sorted(provider.sites) != payload["sites"]:
        facts.append(("认可的站点", f"{', '.join(provider.sites) or '无'} → {', '.join(payload['sites']) or '无'}"))
    if provider.allow_expired_binding != payload["allow_expired_binding"]:
        facts.append(("允许绑定已过期证书", "是" if payload["allow_expired_binding"] else "否"))
    for key, value in payload["rules"].items():
        if provider.rules.get(key) != value:
            facts.append((f"规则 {key}", f"{_text(provider.rules.get(key))} → {_text(value)}"))
    return facts


def _text(value: object) -> str:
    return "默认" if value is None else json.dumps(value, ensure_ascii=False)


def register_kinds() -> None:
    """Name the decisions of this domain; called once at start-up."""
    register_kind(Kind(CA_RECOGNISE, "互认 CA 证书", _recognise, _recognise_facts))
    register_kind(Kind(CA_SUSPEND, "暂停 CA 证书", _change_state, _state_facts))
    register_kind(Kind(CA_WITHDRAW, "撤回 CA 证书", _change_state, _state_facts))
    register_kind(Kind(CA_RESUME, "恢复 CA 证书", _change_state, _state_facts))
    register_kind(Kind(PROVIDER_TRUST, "变更服务商的状态、站点或规则", _change_trust, _trust_facts))
