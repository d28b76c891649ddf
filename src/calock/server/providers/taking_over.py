"""What happens when a second operator approved a bundle or the key that signs bundles, and what he reads before."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.server.accounts.models import Account
from calock.server.approvals.kinds import Alarm, Kind, register_kind
from calock.server.approvals.models import Approval, ApprovalState
from calock.server.audit.events import Event
from calock.server.audit.services import record
from calock.server.providers import trail
from calock.server.providers.basis import basis_of
from calock.server.providers.bundle import BundleCa, BundleProvider, made_at
from calock.server.providers.certificates import read_ca_certificate
from calock.server.providers.enforcement import enforce, has_anchor
from calock.server.providers.exchange import (
    BUNDLE_IMPORT,
    BUNDLE_PIN,
    believed_bundle,
    describe_provider,
    key_version,
    require_bounded_emergencies,
)
from calock.server.providers.models import (
    BundleKey,
    CaRecord,
    CaState,
    Provider,
    ProviderState,
    RevocationSource,
    Role,
    open_register,
)
from calock.server.providers.services import DESCRIPTION_FIELDS, clean_row, clean_rules, rule_facts
from calock.server.providers.trail import record_change
from calock.server.sessions.context import RequestContext


def _import(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    bundle, key = believed_bundle(approval.payload["bundle"].encode(), locked=True)
    if approval.payload.get("basis") != basis_of(bundle):
        raise Refusal(Reason.VERSION_CHANGED, "what the bundle would change was changed since the proposal: propose it anew")
    require_bounded_emergencies(bundle, since=approval.proposed_at)
    for wanted in bundle.providers:
        provider = _take_provider(wanted)
        details = {"bundle": approval.payload["sha256"], "approval": str(approval.pk), **enforce(provider, timezone.now())}
        record_change(Event.PROVIDER_IMPORTED, provider, operator, context, details)
    key.last_made_at = made_at(bundle)
    key.save()


def _take_provider(wanted: BundleProvider) -> Provider:
    provider = Provider.objects.select_for_update(no_key=True).filter(code=wanted.code).first() or Provider(code=wanted.code)
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
    ca = read_ca_certificate(wanted.certificate, at=None, crl_signer=wanted.crl_signer)
    row = CaRecord.objects.filter(spki_sha256=ca.spki_sha256).first() or CaRecord(provider=provider, spki_sha256=ca.spki_sha256)
    if row.provider_id != provider.pk:
        raise Refusal(Reason.CA_KEY_KNOWN, f"{provider.code}: a key of its bundle is recorded at another provider")
    row.certificate, row.subject, row.not_before, row.not_after = ca.der, ca.subject, ca.not_before, ca.not_after
    row.group, row.anchor, row.crl_signer = wanted.group or row.group or provider.code, wanted.anchor, wanted.crl_signer
    row.enter(CaState(wanted.state), timezone.now())
    row.save()
    known = {(source.kind, source.url): source for source in row.revocation_sources.all()}
    for source in wanted.sources:
        kept = known.pop((source.kind, source.url), None)
        if kept is not None and kept.private_network == source.private_network:
            continue
        kept = kept or RevocationSource(ca_record=row, kind=source.kind, url=source.url)
        kept.private_network = source.private_network
        clean_row(kept)
        kept.save()
    for gone in known.values():
        gone.delete()


_OUTDATED = ("现在不可通过", Alarm("提出后，相关登记已另行变更。请驳回或撤销后重新提出。"))


def _import_facts(approval: Approval) -> list[tuple[str, str]]:
    facts = [("文件 SHA-256", approval.payload["sha256"]), ("签名公钥", approval.payload["key_id"])]
    try:
        bundle, key = believed_bundle(approval.payload["bundle"].encode())
    except Refusal as refusal:
        return [*facts, ("现在不可接受", f"{refusal.reason} {refusal.detail}")]
    facts += [("签发方", key.name), ("签发时间", bundle.made_at)]
    if approval.state == ApprovalState.PENDING and approval.payload.get("basis") != basis_of(bundle):
        facts.append(_OUTDATED)
    for wanted in bundle.providers:
        facts += _differences(wanted)
    return facts


def _differences(wanted: BundleProvider) -> list[tuple[str, str]]:
    """What would change at one provider."""
    existing = Provider.objects.filter(code=wanted.code).first()
    try:
        now = describe_provider(existing) if existing else None
    except Refusal as refusal:
        return [(wanted.name, f"现有登记不可读（{refusal.detail}），将被整个替换")]
    if now == wanted:
        return [(wanted.name, "无变化")]
    state = f"状态 {ProviderState(wanted.state).label}，站点 {', '.join(wanted.sites) or '无'}"
    lines = [(wanted.name, f"{'变更' if now else '新增'}：{state}")]
    lines += [(f"{wanted.short_name} {label}", value) for label, value in _description_differences(now, wanted)]
    keys = {_spki(ca): ca for ca in now.cas} if now else {}
    for ca in wanted.cas:
        old = keys.get(_spki(ca))
        if old != ca:
            lines += [(f"{wanted.short_name} {label}", value) for label, value in _ca_differences(old, ca)]
    rules = now.rules if now else Policy().to_json()  # of a provider that is new here: against the strict default
    facts = rule_facts(rules, clean_rules(wanted.rules))
    return lines + [(f"{wanted.short_name} {label}", value) for label, value in facts]


def _spki(ca: BundleCa) -> str:
    return read_ca_certificate(ca.certificate, at=None, crl_signer=ca.crl_signer).spki_sha256


_DESCRIPTION_WORDS = {
    "name": "名称", "short_name": "简称", "legal_name": "法人名称", "hotline": "服务热线", "website": "网站",
    "renew_url": "续期网址", "unlock_url": "解锁网址", "order": "显示次序", "allow_expired_binding": "允许绑定已过期证书",
}  # fmt: skip


def _description_differences(now: BundleProvider | None, wanted: BundleProvider) -> Iterator[tuple[str, str]]:
    if now is None:
        return
    for field, words in _DESCRIPTION_WORDS.items():
        old, new = getattr(now, field), getattr(wanted, field)
        if old != new:
            yield words, f"{old} → {new}"


def _ca_differences(old: BundleCa | None, wanted: BundleCa) -> Iterator[tuple[str, str]]:
    file = read_ca_certificate(wanted.certificate, at=None, crl_signer=wanted.crl_signer)
    step = f"{old.state} → {wanted.state}" if old else f"新增，{wanted.state}"
    changed = [] if old is None else [
        *([f"用途 {_role(old)} → {_role(wanted)}"] if _role(old) != _role(wanted) else []),
        *([f"CA 组 {old.group} → {wanted.group}"] if old.group != wanted.group else []),
        *(["证书更换"] if old.certificate != wanted.certificate else []),
    ]  # fmt: skip
    text = f"{step}：{file.subject}（公钥 SHA-256 {file.spki_sha256}）{''.join(f'；{change}' for change in changed)}"
    grave = old is not None and (old.anchor != wanted.anchor or (old.state == "withdrawn" and wanted.state != "withdrawn"))
    yield _role(wanted), Alarm(text) if grave else text
    before = set(old.sources) if old else set()
    for source in sorted(set(wanted.sources) - before, key=lambda item: item.url):
        text = f"{source.kind} {source.url}"
        yield ("内网地址", Alarm(text)) if source.private_network else ("新增来源", text)
    for source in sorted(before - set(wanted.sources), key=lambda item: item.url):
        yield "移除来源", f"{source.kind} {source.url}"


def _role(ca: BundleCa) -> str:
    return str((Role.ANCHOR if ca.anchor else Role.CRL_SIGNER if ca.crl_signer else Role.INTERMEDIATE).label)


def _pin(approval: Approval, operator: Account, context: RequestContext | None) -> None:
    if key_version(approval.target) != approval.target_version:
        raise Refusal(Reason.VERSION_CHANGED, "the key was pinned, used or retired since the proposal")
    key = BundleKey.objects.filter(key_id=approval.target).first() or BundleKey(key_id=approval.target)
    key.name, key.public_key, key.retired = approval.payload["name"], approval.payload["public_key"], False
    key.save()
    details: dict[str, str | int] = {"key_id": key.key_id, "approval": str(approval.pk), "revision": trail.revision()}
    record(Event.BUNDLE_KEY_PINNED, actor=operator, context=context, subject=key.pk, details=details)


def _pin_facts(approval: Approval) -> list[tuple[str, str]]:
    payload = approval.payload
    facts = [("名称", payload["name"]), ("Ed25519 公钥", payload["public_key"]), ("公钥 SHA-256", approval.target)]
    if approval.state != ApprovalState.PENDING:
        return facts
    known = BundleKey.objects.filter(key_id=approval.target).first()
    if known is not None and known.retired:
        facts.append(("登记状态", Alarm("已停用，通过后重新采信由它签名的互认包")))
    elif known is not None:
        facts.append(("登记状态", f"已固定（{known.name}）"))
    if key_version(approval.target) != approval.target_version:
        facts.append(_OUTDATED)
    return facts


def register_kinds() -> None:
    """Name the decisions about bundles; called once at start-up."""
    register_kind(Kind(BUNDLE_IMPORT, "导入互认包", _import, _import_facts, ahead=open_register))
    register_kind(Kind(BUNDLE_PIN, "固定互认包签名公钥", _pin, _pin_facts, ahead=open_register))
