"""The path: whether a certificate leads to a pinned CA key of a recognised provider.

Only CA certificates of the register take part; what a client sends along is never looked at. Candidate paths are written down by
name and key identifier, few and short, and OpenSSL judges each as it stands: signatures (SM2 with the standard signer ID from
OpenSSL 4 on), name chaining, basic constraints, path lengths, key usage, name constraints. Dates, key strength and policies are
judged here, so that each has its own reason.

Source: RFC 5280 clause 6.1. Anchors may be intermediates, as in Web eID: trust ends at the pinned certificate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from calock.core.certificate import Certificate
from calock.core.chain import chain_fault
from calock.core.gate import ca_fault
from calock.core.keys import Fault
from calock.core.policy import Policy
from calock.core.policy_tree import PolicyFault, check_policies
from calock.core.refusals import Reason, Refusal
from calock.core.register import Issuer, ProviderTrust, Register
from calock.core.verdict import Check, Step, failed, passed

MAX_CANDIDATES = 16
"""Paths that are judged for one certificate."""
MAX_VISITS = 256
"""CA certificates that are looked at while candidates are written down."""

_UNTRUSTED = frozenset({2, 7, 18, 19, 20, 21, 29, 30, 31})
"""X509_V_ERR_*: no issuer, wrong signature, self-signed, names or identifiers that do not chain."""
_TOO_LONG = 22


@dataclass(frozen=True, slots=True)
class Path:
    """A judged path. ``issuers``: from the one that issued the leaf to the anchor, in order; empty when the leaf is the anchor."""

    checks: tuple[Check, ...]
    certificates: tuple[Certificate, ...] = ()
    issuers: tuple[Issuer, ...] = ()
    provider: ProviderTrust | None = None
    issuer: Issuer | None = None

    holds: bool = False
    """Every check passed, and there is a certificate chain at all."""


def claimed_issuer(leaf: Certificate, register: Register) -> Issuer | None:
    """The CA certificate that the leaf says issued it. Nothing is proved by that: it only chooses whose rules the gate applies."""
    return next(iter(_safe_issuers(leaf, register)), register.anchor_with(leaf.der))


def check_path(
    leaf: Certificate, register: Register, *, at: datetime, provider: str | None = None, site: str | None = None
) -> Path:
    """Find and judge the path of ``leaf`` at the moment ``at``.

    ``provider``: code of the provider the person chose; ``site``: site on which the certificate is used. None = do not check.
    """
    best: Path | None = None
    search = _Search(leaf, register)
    for issuers in search.candidates():
        judged = _judge(leaf, issuers, at=at, provider=provider, site=site)
        if judged.holds:
            return judged
        best = _better(best, judged)
    return best or Path((_no_path(leaf, register, cut=search.cut),))


def lifetime(path: Path) -> tuple[datetime, datetime]:
    """The moments between which the dates of every certificate of a path hold."""
    leaf, *above = path.certificates
    grace = path.provider.policy.grace if path.provider else timedelta(0)
    ends = [leaf.not_after + grace, *(certificate.not_after for certificate in above)]
    return max(certificate.not_before for certificate in path.certificates), min(ends)


def provider_fits(trust: ProviderTrust | None, *, provider: str | None, site: str | None) -> bool:
    """Whether the provider of a path is usable, recognised by the site, and the chosen one."""
    return trust is None or _provider(trust, provider, site).passed is True


def _no_path(leaf: Certificate, register: Register, *, cut: bool) -> Check:
    if cut:
        return failed(Step.PATH, "issuer", Reason.PATH_TOO_LONG, "no anchor within the number of certificates that is allowed")
    known = register.named(leaf.issuer_key)
    detail = "its issuer's name is known, but not with this key" if known else "its issuer is none of the recognised CAs"
    return failed(Step.PATH, "issuer", Reason.CERTIFICATE_UNTRUSTED, detail)


def _better(one: Path | None, other: Path) -> Path:
    """Of two refused paths the one that got further, so that the reason is the useful one."""
    if one is None:
        return other
    return max(one, other, key=lambda path: next((n for n, check in enumerate(path.checks) if check.passed is False), 99))


def _issuers_of(certificate: Certificate, register: Register) -> list[Issuer]:
    """CA certificates that may have issued this one, likeliest first."""
    fitting = register.candidates(certificate.issuer_key, certificate.authority_key_id)
    return sorted(fitting, key=lambda issuer: (issuer.key_id != certificate.authority_key_id, not issuer.ca.anchor))


class _Search:
    """Writes down paths from the leaf's issuer to an anchor, shortest first, without judging them."""

    def __init__(self, leaf: Certificate, register: Register) -> None:
        self.leaf = leaf
        self.register = register
        self.cut = False
        """Some path was given up because it grew too long."""

    def candidates(self) -> Iterator[tuple[Issuer, ...]]:
        if self.register.anchor_with(self.leaf.der) is not None:
            yield ()
            return
        waiting: deque[tuple[Issuer, ...]] = deque((issuer,) for issuer in _safe_issuers(self.leaf, self.register))
        visits = found = 0
        while waiting and visits < MAX_VISITS and found < MAX_CANDIDATES:
            path = waiting.popleft()
            visits += 1
            if path[-1].ca.anchor:
                found += 1
                yield path
            elif len(path) + 1 < path[0].provider.policy.max_depth:
                waiting += self._longer(path)
            else:
                self.cut = True

    def _longer(self, path: tuple[Issuer, ...]) -> list[tuple[Issuer, ...]]:
        seen = {issuer.ca.der for issuer in path}
        return [(*path, above) for above in _safe_issuers(path[-1].certificate, self.register) if above.ca.der not in seen]


def _safe_issuers(certificate: Certificate, register: Register) -> list[Issuer]:
    try:
        return _issuers_of(certificate, register)
    except Refusal:
        return []  # a malformed identifier names nobody


def _judge(leaf: Certificate, issuers: tuple[Issuer, ...], *, at: datetime, provider: str | None, site: str | None) -> Path:
    certificates = (leaf, *(issuer.certificate for issuer in issuers))
    issuer = issuers[0] if issuers else None
    trust = issuer.provider if issuer else None
    policy = trust.policy if trust else Policy()
    checks = [_chain(leaf, issuers, policy)]
    if checks[0].passed:
        checks += [_dates(certificates, policy, at), _authorities(issuers, policy, at), _policies(certificates, policy)]
        if trust is not None:
            checks.append(_provider(trust, provider, site))
    return Path(tuple(checks), certificates, issuers, trust, issuer, holds=all(check.passed for check in checks))


def _chain(leaf: Certificate, issuers: tuple[Issuer, ...], policy: Policy) -> Check:
    fault = chain_fault(leaf, issuers, strict=policy.strict_extensions)
    if fault is not None:
        return failed(Step.PATH, "chain", _reason(fault.code), f"certificate {fault.depth} of the path: {fault.text}")
    anchor = issuers[-1].ca.spki_sha256 if issuers else leaf.spki_sha256
    return passed(Step.PATH, "chain", f"{len(issuers) + 1} certificates, anchor {anchor[:16]}")


def _reason(code: int) -> Reason:
    if code in _UNTRUSTED:
        return Reason.CERTIFICATE_UNTRUSTED
    return Reason.PATH_TOO_LONG if code == _TOO_LONG else Reason.PATH_INVALID


def _dates(certificates: tuple[Certificate, ...], policy: Policy, at: datetime) -> Check:
    leaf = certificates[0]
    for number, authority in enumerate(certificates[1:], 1):
        if not authority.not_before <= at <= authority.not_after:
            return failed(Step.PATH, "dates", Reason.PATH_EXPIRED, f"CA certificate {number} of the path is outside its dates")
    if at < leaf.not_before:
        return failed(Step.PATH, "dates", Reason.CERTIFICATE_NOT_YET_VALID, f"valid from {leaf.not_before.isoformat()}")
    if at > leaf.not_after + policy.grace:
        return failed(Step.PATH, "dates", Reason.CERTIFICATE_EXPIRED, f"expired at {leaf.not_after.isoformat()}")
    return passed(Step.PATH, "dates", f"until {leaf.not_after.isoformat()}")


def _authorities(issuers: tuple[Issuer, ...], policy: Policy, at: datetime) -> Check:
    for number, issuer in enumerate(issuers, 1):
        fault = _ca_fault(issuer, policy, at)
        if fault is not None:
            return failed(Step.PATH, "CA certificates", fault[0], f"CA certificate {number} of the path: {fault[1]}")
    return passed(Step.PATH, "CA certificates")


def _ca_fault(issuer: Issuer, policy: Policy, at: datetime) -> Fault | None:
    """Found once for each state of the dated exceptions, which are all that time changes here.

    A policy lives as long as its register, and so as long as the issuer that remembers by its id.
    """
    key = (id(policy), policy.allows_legacy("SHA1", at), policy.allows_legacy("RSA1024", at))
    if key not in issuer.faults:
        issuer.faults[key] = ca_fault(issuer.certificate, policy, at, anchor=issuer.ca.anchor)
    return issuer.faults[key]


def _policies(certificates: tuple[Certificate, ...], policy: Policy) -> Check:
    try:
        check_policies(certificates, policy)
    except PolicyFault as fault:
        reason = Reason.POLICY_NOT_ALLOWED if policy.required_policies else Reason.PATH_INVALID
        return failed(Step.PATH, "certificate policies", reason, str(fault))
    return passed(Step.PATH, "certificate policies")


def _provider(trust: ProviderTrust, chosen: str | None, site: str | None) -> Check:
    if trust.suspended:
        return failed(Step.PATH, "provider", Reason.PROVIDER_SUSPENDED, f"provider {trust.code} is suspended")
    if site is not None and site not in trust.sites:
        return failed(
            Step.PATH, "provider", Reason.PROVIDER_NOT_RECOGNISED_HERE, f"provider {trust.code} is not recognised by {site}"
        )
    if chosen is not None and chosen != trust.code:
        return failed(Step.PATH, "provider", Reason.PROVIDER_MISMATCH, f"issued by {trust.code}, chosen was {chosen}")
    return passed(Step.PATH, "provider", trust.code)
