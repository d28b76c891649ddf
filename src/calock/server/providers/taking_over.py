"""What happens when a second operator approved a bundle or the key that signs bundles, and what he reads before."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Kind, register_kind
from calock.server.approvals.models import Approval
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.context import RequestContext
from calock.server.providers.bundle import BundleCa, BundleProvider
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.decisions import settle
from calock.server.providers.exchange import BUNDLE_IMPORT, BUNDLE_PIN, believed_bundle, describe_provider
from calock.server.providers.models import BundleKey, CaRecord, Provider, ProviderState, RevocationSource
from calock.server.providers.services import DESCRIPTION_FIELDS, clean_row, clean_rules, has_anchor, record_change


def _import(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    bundle, key = believed_bundle(approval.payload["bundle"].encode())
    for wanted in bundle.providers:
        provider = _take_provider(wanted)
        details = {"bundle": approval.payload["sha256"], "approval": str(approval.pk), **settle(provider, timezone.now())}
        record_change(Event.PROVIDER_IMPORTED, provider, operator, context, details)
    key.last_made_at = datetime.fromisoformat(bundle.made_at)
    key.save()


def _take_provider(wanted: BundleProvider) -> Provider:
    provider = Provider.objects.select_for_update().filter(code=wanted.code).first() or Provider(code=wanted.code)
    for field in DESCRIPTION_FIELDS:
        setattr(provider, field, getattr(wanted, field))
    provider.sites, provider.rules = sorted(wanted.sites), clean_rules(wanted.rules)
    provider.allow_expired_binding, provider.state = wanted.allow_expired_binding, ProviderState.SUSPENDED
    clean_row(provider)
    provider.save()
    for ca in wanted.cas:
        _take_ca(provider, ca)
    if wanted.state == "enabled" and has_anchor(provider):
        provider.state = ProviderState.ENABLED
        provider.save()
    return provider


def _take_ca(provider: Provider, wanted: BundleCa) -> None:
    ca = read_ca_certificate(wanted.certificate, at=None)
    row = CaRecord.objects.filter(spki_sha256=ca.spki_sha256).first() or CaRecord(provider=provider, spki_sha256=ca.spki_sha256)
    if row.provider_id != provider.pk:
        raise Refusal(Reason.CA_KEY_KNOWN, f"{provider.code}: a key of its bundle is recorded at another provider")
    row.certificate, row.subject, row.not_before, row.not_after = ca.der, ca.subject, ca.not_before, ca.not_after
    row.group, row.anchor, row.state = wanted.group, wanted.anchor, wanted.state
    row.save()
    known = {(source.kind, source.url): source for source in row.revocation_sources.all()}
    for source in wanted.sources:
        kept = known.pop((source.kind, source.url), None) or RevocationSource(ca_record=row, kind=source.kind, url=source.url)
        kept.private_network = source.private_network
        clean_row(kept)
        kept.save()
    for gone in known.values():
        gone.delete()


def _import_facts(approval: Approval) -> list[tuple[str, str]]:
    facts = [("文件 SHA-256", approval.payload["sha256"]), ("签名公钥", approval.payload["key_id"])]
    try:
        bundle, key = believed_bundle(approval.payload["bundle"].encode())
    except Refusal as refusal:
        return [*facts, ("现在不可接受", f"{refusal.reason} {refusal.detail}")]
    facts += [("签发方", key.name), ("签发时间", bundle.made_at)]
    for wanted in bundle.providers:
        facts += _differences(wanted)
    return facts


def _differences(wanted: BundleProvider) -> list[tuple[str, str]]:
    """What would change at one provider."""
    existing = Provider.objects.filter(code=wanted.code).first()
    now = describe_provider(existing) if existing else None
    if now == wanted:
        return [(wanted.name, "无变化")]
    state = f"状态 {ProviderState(wanted.state).label}，站点 {', '.join(wanted.sites) or '无'}"
    lines = [(wanted.name, f"{'变更' if now else '新增'}：{state}")]
    before = {read_ca_certificate(ca.certificate, at=None).spki_sha256: ca for ca in now.cas} if now else {}
    for ca in wanted.cas:
        file = read_ca_certificate(ca.certificate, at=None)
        old = before.get(file.spki_sha256)
        if old != ca:
            step = f"{old.state} → {ca.state}" if old else f"新增，{ca.state}"
            role = "信任锚" if ca.anchor else "中间 CA"
            lines.append((f"{wanted.short_name} {role}", f"{step}：{file.subject}（公钥 SHA-256 {file.spki_sha256}）"))
        lines += [(f"{wanted.short_name} 内网地址", source.url) for source in ca.sources if source.private_network]
    if now and now.rules != wanted.rules:
        changed = [key for key, value in clean_rules(wanted.rules).items() if now.rules.get(key) != value]
        lines.append((f"{wanted.short_name} 规则", f"变更：{', '.join(changed)}"))
    return lines


def _pin(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    key = BundleKey.objects.filter(key_id=approval.target).first() or BundleKey(key_id=approval.target)
    key.name, key.public_key, key.retired = approval.payload["name"], approval.payload["public_key"], False
    key.save()
    details = {"key_id": key.key_id, "approval": str(approval.pk)}
    record(Event.BUNDLE_KEY_PINNED, actor=operator, context=context, subject=key.pk, details=details)


def _pin_facts(approval: Approval) -> list[tuple[str, str]]:
    payload = approval.payload
    return [("名称", payload["name"]), ("Ed25519 公钥", payload["public_key"]), ("公钥 SHA-256", approval.target)]


def register_kinds() -> None:
    """Name the decisions about bundles; called once at start-up."""
    register_kind(Kind(BUNDLE_IMPORT, "导入互认包", _import, _import_facts))
    register_kind(Kind(BUNDLE_PIN, "固定互认包签名公钥", _pin, _pin_facts))
