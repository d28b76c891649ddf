"""What happens when a second operator approved: the acts on providers and CA records, and what they read before."""

from __future__ import annotations

import base64
from typing import Any

from django.utils import timezone

from calock.core.certificates.certificate import Certificate
from calock.core.policy import ANY_EXTENDED_KEY_USAGE, CLIENT_AUTH, Policy, PolicyError
from calock.core.refusals import Reason, Refusal
from calock.core.revocation.ca_graph import CaGraph
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Change, Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.providers.anchors import CA_RECOGNISE, CA_RESUME, CA_SUSPEND, CA_WITHDRAW, FROM_STATES, drop_pending
from calock.server.providers.certificates import CaFile, issued_by, read_ca_certificate
from calock.server.providers.emergencies import own_keys, require_bounded, running
from calock.server.providers.enforcement import enforce, has_anchor
from calock.server.providers.links import assign_links, link_facts
from calock.server.providers.models import CaRecord, CaState, Provider, ProviderState, Role, open_register
from calock.server.providers.register_audit import record_change
from calock.server.providers.services import PROVIDER_TRUST, clean_rules, rule_facts
from calock.server.sessions.context import RequestContext
from calock.server.sites.registry import sites
from calock.server.tools.times import day_text, minute_text

_TO_STATE = {CA_SUSPEND: CaState.SUSPENDED, CA_WITHDRAW: CaState.WITHDRAWN, CA_RESUME: CaState.RECOGNISED}
_EVENT = {CA_SUSPEND: Event.ANCHOR_SUSPENDED, CA_WITHDRAW: Event.ANCHOR_WITHDRAWN, CA_RESUME: Event.ANCHOR_RESUMED}


def _record_of(approval: Approval) -> CaRecord:
    record = CaRecord.objects.select_for_update(no_key=True).select_related("provider").filter(pk=approval.target).first()
    if record is None:
        raise Refusal(Reason.NOT_FOUND, "the CA record is gone")
    if record.version != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the CA record changed since the proposal")
    return record


def _recognise(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    record, at = _record_of(approval), timezone.now()
    payload = approval.payload
    crl_signer = payload.get("crl_signer", False)
    ca = read_ca_certificate(base64.b64decode(payload["certificate"]), at=at, crl_signer=crl_signer)
    if ca.spki_sha256 != record.spki_sha256:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "the proposal holds another key than the record")
    record.certificate = ca.der
    record.subject, record.not_before, record.not_after = ca.subject, ca.not_before, ca.not_after
    record.group, record.anchor, record.crl_signer = payload["group"], payload["anchor"], crl_signer
    record.state, record.recognised_at = CaState.RECOGNISED, at
    record.save()
    details = {"cert_sha256": ca.sha256, "spki_sha256": ca.spki_sha256, "role": str(record.role), "group": record.group}
    details |= enforce(record.provider, at)
    record_change(Event.ANCHOR_APPROVED, record.provider, operator, context, {**details, "approval": str(approval.pk)})


def _forget_proposed(approval: Approval) -> None:
    """A proposal that came to nothing leaves no record behind, which would keep the key from everybody else."""
    record = CaRecord.objects.filter(pk=approval.target).first()
    if record is not None:
        drop_pending(record)


def _change_state(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    record, at = _record_of(approval), timezone.now()
    if record.state not in FROM_STATES[approval.kind]:
        raise Refusal(Reason.VERSION_CHANGED, f"a {record.state} record cannot take this step")
    record.enter(_TO_STATE[approval.kind], at)
    record.save()
    details: dict[str, Any] = {"spki_sha256": record.spki_sha256, "role": str(record.role), "approval": str(approval.pk)}
    details |= enforce(record.provider, at)
    record_change(_EVENT[approval.kind], record.provider, operator, context, details)


def _change_trust(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    provider = Provider.objects.select_for_update(no_key=True).filter(pk=approval.target).first()
    if provider is None:
        raise Refusal(Reason.NOT_FOUND, "the provider is gone")
    if provider.version != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the provider changed since the proposal")
    payload = approval.payload
    if payload["state"] == ProviderState.ENABLED and not has_anchor(provider):
        raise Refusal(Reason.PROVIDER_WITHOUT_ANCHOR, "no recognised anchor")
    was, rules = provider.state, clean_rules(payload["rules"])
    require_bounded(rules, own_keys(provider), since=approval.proposed_at)
    provider.state, provider.sites, provider.rules = payload["state"], payload["sites"], rules
    provider.allow_expired_binding = payload["allow_expired_binding"]
    if "links" in payload:
        assign_links(provider, payload["links"])
    provider.save()
    at = timezone.now()
    details = {**payload, "was": was, **enforce(provider, at), "approval": str(approval.pk)}
    details["emergencies"] = ", ".join(map(str, running(provider, at=at)))
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
        ("有效期", f"{day_text(ca.not_before)} 至 {day_text(ca.not_after)}"),
        *_purpose_facts(ca),
    ]


def _purpose_facts(ca: CaFile) -> list[tuple[str, str]]:
    """A CA that is certified for other purposes alone: as an anchor it is not asked about them, so operators are told."""
    if ca.purposes is None or {CLIENT_AUTH, ANY_EXTENDED_KEY_USAGE} & set(ca.purposes):
        return []
    words = "，其中没有客户端认证：作为信任锚时不检查用途，作为下级 CA 时其签发的证书会被拒绝"
    return [("扩展密钥用途", Alarm("、".join(ca.purposes) + words))]


def _recognise_facts(approval: Approval) -> list[tuple[str, str]]:
    record = CaRecord.objects.select_related("provider").filter(pk=approval.target).first()
    if record is None:
        return [("CA 证书", "已不存在")]
    payload = approval.payload
    der, crl_signer = base64.b64decode(payload["certificate"]), payload.get("crl_signer", False)
    try:
        facts = certificate_facts(read_ca_certificate(der, at=timezone.now(), crl_signer=crl_signer))
    except Refusal as refusal:
        facts = [("现在不可接受", refusal.detail)]
    wanted = Role.ANCHOR if payload["anchor"] else Role.CRL_SIGNER if crl_signer else Role.INTERMEDIATE
    use = [("用途", _role_words(record, der, wanted)), *_role_change(record, wanted)]
    return [("CA 服务商", record.provider.name), *use, ("CA 组", _group_words(record, payload["group"])), *facts]


def _role_words(record: CaRecord, der: bytes, wanted: Role) -> str:
    recognised = list(record.provider.ca_records.filter(state=CaState.RECOGNISED))
    if wanted == Role.ANCHOR:
        return wanted.label
    if wanted == Role.CRL_SIGNER:
        names = "、".join(_speaks_for(der, recognised, record.provider)) or "登记中没有它所代表的 CA，其 CRL 不会被采用"
        return f"{wanted.label}（不是信任锚，不能签发锁证书），为其签发 CRL 的 CA：{names}"
    others = [item for item in recognised if not item.crl_signer and item.pk != record.pk]
    above = [item.subject for item in others if issued_by(der, bytes(item.certificate))]
    return f"{wanted.label}，上级：{above[0] if above else '未在登记中，路径不会成立'}"


def _speaks_for(der: bytes, recognised: list[CaRecord], provider: Provider) -> list[str]:
    """CAs whose CRLs this key may sign, proved by signatures as verification proves them."""
    try:
        signer, policy = Certificate.parse(der), Policy.from_json(provider.rules)
    except (Refusal, PolicyError):
        return []
    parsed = [(record, Certificate.parse(bytes(record.certificate))) for record in recognised]
    anchors = [certificate for record, certificate in parsed if record.anchor]
    others = [certificate for record, certificate in parsed if not record.anchor]
    graph = CaGraph(anchors, [*others, signer], policy=policy, at=timezone.now())
    return sorted({item.subject_text for item in graph.issuers_covered_by(signer) if item.spki_sha256 != signer.spki_sha256})


def _role_change(record: CaRecord, wanted: Role) -> list[tuple[str, str]]:
    """What an approval does to a key that is recorded already, in words that stand out."""
    if record.state == CaState.PENDING:
        return []
    after = "通过后由此证书替换现有证书" if record.state == CaState.RECOGNISED else "通过后重新互认"
    lines = [("登记状态", f"{record.get_state_display()}，{after}")]
    if record.role == wanted:
        return lines
    lines.append(("用途变更", Change(str(record.role.label), str(wanted.label), alarming=True)))
    if record.anchor and record.state == CaState.RECOGNISED:
        others = record.provider.ca_records.filter(anchor=True, state=CaState.RECOGNISED).exclude(pk=record.pk)
        ends = "由其下证书打开且失去依据的会话将被结束"
        if not others.exists() and record.provider.state == ProviderState.ENABLED:
            ends = "该服务商没有其他信任锚：通过后服务商立即被暂停，其 CA 登录停止，会话全部结束"
        lines.append(("不再是信任锚", Alarm(ends)))
    return lines


def _group_words(record: CaRecord, group: str) -> str:
    if record.state == CaState.PENDING or record.group == group:
        return group
    return Change(record.group, f"{group}（换组后，续期的锁须重新绑定）", alarming=True)


def _state_facts(approval: Approval) -> list[tuple[str, str]]:
    record = CaRecord.objects.select_related("provider").filter(pk=approval.target).first()
    if record is None:
        return [("CA 证书", "已不存在")]
    return [
        ("CA 服务商", record.provider.name),
        ("CA 证书", record.subject),
        ("用途", record.role.label),
        ("公钥 SHA-256", record.spki_sha256),
        ("状态", Change(record.get_state_display(), str(_TO_STATE[approval.kind].label))),
    ]


def _site_names(codes: list[str]) -> str:
    """Sites as their pages call them."""
    known = sites()
    return "、".join(str(known[code].names.platform) if code in known else code for code in codes) or "无"


def _trust_facts(approval: Approval) -> list[tuple[str, str]]:
    provider = Provider.objects.filter(pk=approval.target).first()
    if provider is None:
        return [("CA 服务商", "已不存在")]
    payload, facts = approval.payload, [("CA 服务商", provider.name)]
    if provider.state != payload["state"]:
        facts.append(("状态", Change(provider.get_state_display(), str(ProviderState(payload["state"]).label))))
    if sorted(provider.sites) != payload["sites"]:
        facts.append(("认可的站点", Change(_site_names(provider.sites), _site_names(payload["sites"]))))
    if provider.allow_expired_binding != payload["allow_expired_binding"]:
        facts.append(("允许绑定已过期证书", Change("否", "是") if payload["allow_expired_binding"] else Change("是", "否")))
    emergencies = running(provider, at=timezone.now(), rules=payload["rules"])
    facts += [
        ("紧急放宽", Alarm(f"{item.record.subject} 的吊销信息在 {minute_text(item.end)} 前不受时效限制")) for item in emergencies
    ]
    facts += link_facts(provider, payload["links"]) if "links" in payload else ()
    return facts + rule_facts(provider.rules, payload["rules"])


def register_kinds() -> None:
    """Name the decisions of this domain; called once at start-up."""
    register_kind(Kind(CA_RECOGNISE, "互认 CA 证书", _recognise, _recognise_facts, _forget_proposed, open_register))
    register_kind(Kind(CA_SUSPEND, "暂停 CA 证书", _change_state, _state_facts, ahead=open_register))
    register_kind(Kind(CA_WITHDRAW, "撤回 CA 证书", _change_state, _state_facts, ahead=open_register))
    register_kind(Kind(CA_RESUME, "恢复 CA 证书", _change_state, _state_facts, ahead=open_register))
    register_kind(Kind(PROVIDER_TRUST, "变更服务商的状态、站点或规则", _change_trust, _trust_facts, ahead=open_register))
