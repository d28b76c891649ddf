"""Rules proposed from sample certificates of a CA: the smallest change of a provider's rules that accepts them all.

Operators learn from samples, before a CA's locks are used, which of its habits need a rule. Nothing is decided here: two operators
read each change with its consequence, and decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.signature_encoding import encoding_fault_text, signature_encoding_fault
from calock.core.checks.gate import SHA1_SIGNATURES
from calock.core.checks.unread_numbers import UnreadNumber, unread_numbers
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.verify import verify_certificate
from calock.core.masking import mask_person_ids
from calock.core.paths.ca_path import candidate_paths
from calock.core.policy import ANY_EXTENDED_KEY_USAGE, CURVES, IdentityRule, Legacy, Policy
from calock.core.refusals import Reason, Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.verdict import Step

LEGACY_DAYS = 90
"""A proposed exception for weak algorithms ends so many days later."""
MAX_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One change of the rules, with what it lets in."""

    key: str
    """As docs/policy.md names it, e.g. ``ekus`` or ``identity.holder``."""
    value: Any
    """JSON value that the rule gets."""
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What the proposed rules say to one sample. Revocation is not looked at."""

    sha256: str
    subject: str
    """For display, personal numbers masked."""
    reason: Reason | None
    """None = accepted."""
    detail: str
    holder_kind: str
    holder_masked: str
    has_path: bool
    """False: its CA is not among the given ones, so its signature was not verified."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Rules that accept every sample that rules can make acceptable."""

    policy: Policy
    changes: tuple[RuleChange, ...]
    samples: tuple[SampleResult, ...]
    unread: tuple[UnreadNumber, ...]
    """Numbers of holders that the proposed rules do not read either."""

    @property
    def accepts_all(self) -> bool:
        return all(sample.reason is None for sample in self.samples)

    @property
    def rules(self) -> dict[str, Any]:
        """The rules as JSON, without those that have their default."""
        default = Policy().to_json()
        return {key: value for key, value in self.policy.to_json().items() if value != default[key]}


def propose_rules(samples: Sequence[bytes], policy: Policy, *, at: datetime, cas: Iterable[bytes] = ()) -> Proposal:
    """Propose changes of ``policy`` that accept ``samples`` (DER). ``cas``: CA certificates (DER) that may have issued them.

    Each sample is judged at ``at``, or at the end of its dates that is nearest.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE; one of them cannot be read.
        ValueError: no samples, or too many.
    """
    if not 1 <= len(samples) <= MAX_SAMPLES:
        raise ValueError(f"1 to {MAX_SAMPLES} samples are wanted")
    trial = _Trial([Certificate.parse(der) for der in samples], tuple(CaCertificate.of(der, anchor=True) for der in cas), at)
    with_holder = _with_holder_rules(trial, policy)
    possible = [switch for switch in _SWITCHES if switch.applied(with_holder, trial) != with_holder]
    wanted = trial.accepted(_applied(possible, with_holder, trial))
    for switch in list(possible):
        fewer = [other for other in possible if other is not switch]
        if wanted <= trial.accepted(_applied(fewer, with_holder, trial)):
            possible = fewer
    proposed = _applied(possible, with_holder, trial)
    holder = (_holder_change(proposed),) if proposed.identity.holder != policy.identity.holder else ()
    changes = (*holder, *(switch.change(with_holder, proposed) for switch in possible))
    unread = dict.fromkeys(number for item in trial.samples for number in unread_numbers(item, proposed.identity))
    return Proposal(proposed, changes, tuple(trial.results(proposed)), tuple(unread))


class _Trial:
    """The samples, judged under one policy after the other."""

    def __init__(self, samples: Sequence[Certificate], cas: tuple[CaCertificate, ...], at: datetime) -> None:
        self.samples = samples
        self.at = at
        self._cas = cas

    def accepted(self, policy: Policy) -> set[str]:
        return {result.sha256 for result in self.results(policy) if result.reason is None}

    def results(self, policy: Policy) -> Iterator[SampleResult]:
        register = Register([ProviderTrust("proposed", self._cas, policy)])
        for sample in self.samples:
            yield self._result(sample, register, policy)

    def _result(self, sample: Certificate, register: Register, policy: Policy) -> SampleResult:
        has_path = bool(candidate_paths(sample, register).paths)
        steps = frozenset({Step.GATE, Step.PROFILE, Step.IDENTITY, *([Step.PATH] if has_path else [])})
        at = min(max(self.at, sample.not_before), sample.not_after)
        verdict = verify_certificate(sample.der, VerificationInputs(register, at, steps=steps))
        reason, detail = verdict.reason, verdict.failure.detail if verdict.failure else ""
        fault = signature_encoding_fault(sample)
        if reason is None and not has_path and fault and not policy.tolerates_signatures:
            reason, detail = Reason.CERTIFICATE_UNTRUSTED, encoding_fault_text(fault)
        identity = verdict.identity
        kind, masked = (identity.holder_kind, identity.holder_masked) if identity else ("", "")
        return SampleResult(sample.sha256, mask_person_ids(sample.subject_text), reason, detail, kind, masked, has_path)


# --- rules for the holder


def _with_holder_rules(trial: _Trial, policy: Policy) -> Policy:
    """The fewest further rules that find the holder of every sample that names one where no rule looks."""
    missing: dict[str, list[IdentityRule]] = {}
    for sample in trial.samples:
        numbers = unread_numbers(sample, policy.identity)
        found = [number.rule for number in numbers if number.rule is not None]
        if found and not _names_holder(sample, policy, trial):
            missing[sample.sha256] = found
    chosen: list[IdentityRule] = []
    while missing:
        counted = Counter(rule for rules in missing.values() for rule in set(rules))
        best = min(counted, key=lambda rule: (-counted[rule], *_preference(rule)))
        chosen.append(best)
        missing = {key: rules for key, rules in missing.items() if best not in rules}
    holder = (*policy.identity.holder, *chosen)
    return replace(policy, identity=replace(policy.identity, holder=holder)) if chosen else policy


def _names_holder(sample: Certificate, policy: Policy, trial: _Trial) -> bool:
    lenient = replace(policy, identity=replace(policy.identity, holder_required=False))
    register = Register([ProviderTrust("proposed", (), lenient)])
    inputs = VerificationInputs(register, trial.at, steps=frozenset({Step.IDENTITY}))
    identity = verify_certificate(sample.der, inputs).identity
    return identity is not None and bool(identity.holder_id)


def _preference(rule: IdentityRule) -> tuple[object, ...]:
    """An extension before the subject, a number alone before one with a prefix, an organisation's before a person's."""
    return rule.source != "oid", bool(rule.prefix), rule.kind != "uscc", rule.oid, rule.prefix


def _holder_change(policy: Policy) -> RuleChange:
    rules = policy.to_json()["identity"]["holder"]
    return RuleChange(
        "identity.holder", rules,
        "锁的持有人按这些位置读取，绑定只限该持有人所属单位的成员，换发证书时要求持有人相同。",
        "The holder of a lock is read there: members of that organisation alone bind it, and a renewal names the same holder.",
    )  # fmt: skip


# --- switches


@dataclass(frozen=True, slots=True)
class _Switch:
    """One rule that can be relaxed so far that the samples pass it."""

    key: str
    value: Callable[[Policy, _Trial], Any]
    """The value under which the samples pass; that of the policy when they pass already."""
    zh: str
    en: str

    def applied(self, policy: Policy, trial: _Trial) -> Policy:
        if self.key == "identity.holder_required":
            return replace(policy, identity=replace(policy.identity, holder_required=self.value(policy, trial)))
        return replace(policy, **{self.key: self.value(policy, trial)})

    def change(self, before: Policy, after: Policy) -> RuleChange:
        value: Any = after.to_json()
        for part in self.key.split("."):
            value = value[part]
        old = getattr(before, self.key, ())
        added = [item for item in value if item not in old] if isinstance(value, list) and isinstance(old, tuple) else []
        words = "、".join(map(str, added)), ", ".join(map(str, added))
        return RuleChange(self.key, value, self.zh.format(words[0]), self.en.format(words[1]))


def _applied(switches: Iterable[_Switch], policy: Policy, trial: _Trial) -> Policy:
    for switch in switches:
        policy = switch.applied(policy, trial)
    return policy


def _ekus(policy: Policy, trial: _Trial) -> tuple[str, ...]:
    """With the fewest further purposes of which every sample that names its purposes has one."""
    chosen = list(policy.ekus)
    left = [set(eku) for eku in map(_eku, trial.samples) if eku is not None and not set(eku) & set(policy.ekus)]
    while any(left):
        counted = Counter(oid for purposes in left for oid in purposes if oid != ANY_EXTENDED_KEY_USAGE)
        if not counted:
            break
        chosen.append(min(counted, key=lambda oid: (-counted[oid], oid)))
        left = [purposes for purposes in left if chosen[-1] not in purposes]
    return tuple(chosen)


def _eku(sample: Certificate) -> tuple[str, ...] | None:
    try:
        return sample.eku
    except Refusal:
        return None


def _legacy(policy: Policy, trial: _Trial) -> tuple[tuple[Legacy, datetime], ...]:
    until = (trial.at + timedelta(days=LEGACY_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    weak: list[Legacy] = []
    if any(sample.signature_algorithm in SHA1_SIGNATURES for sample in trial.samples):
        weak.append("SHA1")
    if any(sample.algorithm == "RSA" and 1024 <= sample.key_size < policy.rsa_min_bits for sample in trial.samples):
        weak.append("RSA1024")
    return (*policy.legacy, *((what, until) for what in weak if not policy.allows_legacy(what, trial.at)))


def _with_all(known: Sequence[str], allowed: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    missing = set(found) - set(allowed)
    return (*allowed, *(item for item in known if item in missing))


_SWITCHES = (
    _Switch(
        "legacy", _legacy,
        "在限定日期前接受 SHA-1 签名或 1024 位 RSA 密钥：这些算法可被伪造或破解，请尽快换发证书。",
        "Until that day SHA-1 signatures or RSA keys of 1024 bits are taken, which can be forged or broken: have them renewed.",
    ),
    _Switch(
        "signature_encoding", lambda _policy, _trial: "tolerant",
        "接受 r、s 未按 DER 编码的 SM2、ECDSA 签名；签名本身仍须有效，同一证书因此可有多种编码。",
        "SM2 and ECDSA signatures whose r and s are not in DER are taken; they must hold all the same. One certificate then has "
        "several encodings.",
    ),
    _Switch(
        "strict_extensions", lambda _policy, _trial: False,
        "不再要求证书具备颁发机构密钥标识符等 RFC 5280 规定；不认识的关键扩展仍被拒绝。",
        "Demands of RFC 5280 such as an authority key identifier are lifted; critical extensions that nobody knows stay refused.",
    ),
    _Switch(
        "key_usage_required", lambda _policy, _trial: False,
        "接受没有密钥用法扩展的证书：这种证书的加密证书与签名证书无法区分。",
        "Certificates without keyUsage are taken: a certificate for encryption cannot be told from one for signatures then.",
    ),
    _Switch(
        "eku_required", lambda _policy, _trial: False,
        "接受没有扩展密钥用途的证书：它们的用途不受限制。",
        "Certificates without extendedKeyUsage are taken: their purposes are not restricted.",
    ),
    _Switch(
        "ekus", _ekus,
        "用途为 {} 的证书也可登录，包括同一 CA 为这些用途签发的其他证书（如服务器证书、电子邮件证书）。",
        "Certificates for {} may log in, also others of the same CA for that purpose, such as those of servers or mailboxes.",
    ),
    _Switch(
        "algorithms",
        lambda policy, trial: _with_all(("SM2", "RSA", "EC"), policy.algorithms, (item.algorithm for item in trial.samples)),
        "接受密钥种类 {}。", "Keys of kind {} are taken.",
    ),
    _Switch(
        "curves", lambda policy, trial: _with_all(CURVES, policy.curves, (item.curve for item in trial.samples)),
        "接受曲线 {} 上的密钥。", "Keys on the curve {} are taken.",
    ),
    _Switch(
        "identity.holder_required", lambda _policy, _trial: False,
        "接受不写明持有人号码的证书：此类锁只能由所属单位的成员绑定，换发时无法核对持有人。",
        "Certificates that name no holder are taken: bindings and renewals of such a lock are not held against the holder.",
    ),
)  # fmt: skip
"""The riskiest first: of two that would do, the later one stays."""
