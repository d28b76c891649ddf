"""The path step: whether a certificate has a valid certification path to a trust anchor of a recognised provider.

OpenSSL verifies signatures (SM2 with the standard signer ID from OpenSSL 4 on), name chaining, basic constraints, path lengths,
key usage and name constraints of each candidate path. Dates, key strength and policies are checked here, so that each has a
reason of its own.

Source: RFC 5280 clause 6.1. An anchor may be an intermediate CA, as in Web eID.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
from msgspec import structs

from calock.core.certificates.certificate import Certificate
from calock.core.paths.ca_path import CandidatePaths, CaPath, candidate_paths
from calock.core.paths.chain import chain_fault
from calock.core.paths.policy_tree import PolicyFault, check_policies, constrains_policies
from calock.core.policy import Policy, by_rule
from calock.core.refusals import Reason
from calock.core.register import Issuer, ProviderTrust, Register
from calock.core.verdict import Check, Step, failed, passed

_UNTRUSTED = frozenset({2, 7, 18, 19, 20, 21, 29, 30, 31})
"""X509_V_ERR_*: no issuer, wrong signature, self-signed, names or identifiers that do not chain."""
_TOO_LONG = 22
_DATES_GOOD = passed(Step.PATH, "dates")
_CAS_GOOD = passed(Step.PATH, "CA certificates")
_POLICIES_GOOD = passed(Step.PATH, "certificate policies")


class CertificationPath(msgspec.Struct, frozen=True):
    """A certification path and the checks it was validated by."""

    checks: tuple[Check, ...]
    certificates: tuple[Certificate, ...] = ()
    """Leaf first, anchor last."""
    above: CaPath | None = None
    """Its CA part; None when the leaf is the anchor, or there is no path."""
    provider: ProviderTrust | None = None
    holds: bool = False
    """Every check passed, and there is a certificate chain at all."""

    @property
    def issuer(self) -> Issuer | None:
        """The CA certificate that issued the leaf."""
        return self.above.issuer if self.above else None


def claimed_providers(leaf: Certificate, register: Register, candidates: CandidatePaths) -> list[ProviderTrust]:
    """The providers whose CA the leaf names as its issuer, unverified: they only choose whose rules the gate applies."""
    anchor = register.anchor_with(leaf.der)
    named = candidates.first or ((anchor,) if anchor else ())
    if len(named) == 1:
        return [named[0].provider]
    by_code = {issuer.provider.code: issuer.provider for issuer in named}
    return [by_code[code] for code in sorted(by_code)]


def check_path(leaf: Certificate, register: Register, *, at: datetime) -> CertificationPath:
    """Find and validate a path of ``leaf`` at the moment ``at``, by the path step alone: revocation and purposes are not looked at.

    Returns the first candidate that is valid, otherwise the one that got furthest.
    """
    best: CertificationPath | None = None
    for path in validated_paths(leaf, register, at=at):
        if path.holds:
            return path
        best = path if best is None or progress(path) > progress(best) else best
    assert best is not None
    return best


def validated_paths(
    leaf: Certificate,
    register: Register,
    *,
    at: datetime,
    provider: str | None = None,
    site: str | None = None,
    candidates: CandidatePaths | None = None,
) -> Iterator[CertificationPath]:
    """Validate one candidate path of ``leaf`` after the other; at least one path, valid or not, is yielded.

    ``provider``: code of the provider the person chose; ``site``: site on which the certificate is used. None = do not check.
    ``candidates``: what :func:`candidate_paths` gave for this leaf, when the caller has asked already.
    """
    anchor = register.anchor_with(leaf.der)
    if anchor is not None:
        yield _validate(leaf, None, anchor.provider, at=at, provider=provider, site=site)
        return
    candidates = candidates or candidate_paths(leaf, register, provider=provider, site=site)
    for above in candidates.paths:
        path = _validate(leaf, above, above.provider, at=at, provider=provider, site=site)
        yield path if path.holds or not candidates.untried else _note_untried(path)
    if not candidates.paths:
        none = CertificationPath((_no_path(leaf, register, candidates),))
        yield _note_untried(none) if candidates.untried else none


def _note_untried(refused: CertificationPath) -> CertificationPath:
    remark = "; not all CA certificates of its issuer's name were tried, there are too many"
    checks = [structs.replace(item, detail=item.detail + remark) if item.passed is False else item for item in refused.checks]
    return structs.replace(refused, checks=tuple(checks))


def progress(path: CertificationPath) -> tuple[object, ...]:
    """How far a path got, to compare: the number of checks before the first that failed, then rules that no order of rows changes.

    Of two that got equally far the shorter one counts as further; of equally long ones their fingerprints decide.
    """
    passed_checks = next((n for n, check in enumerate(path.checks) if check.passed is False), len(path.checks))
    return passed_checks, -len(path.certificates), tuple(certificate.sha256 for certificate in path.certificates)


def common_validity(path: CertificationPath) -> tuple[datetime, datetime]:
    """The period in which every certificate of a path is within its dates."""
    leaf = path.certificates[0]
    end = _end(leaf, path.provider.policy) if path.provider else leaf.not_after
    if path.above is None:
        return leaf.not_before, end
    return max(leaf.not_before, path.above.start), min(end, path.above.end)


def provider_acceptable(trust: ProviderTrust | None, *, provider: str | None, site: str | None) -> bool:
    """Whether the provider of a path is usable, recognised by the site, and the chosen one."""
    return trust is None or (
        not trust.suspended and (site is None or site in trust.sites) and (provider is None or provider == trust.code)
    )


def _no_path(leaf: Certificate, register: Register, candidates: CandidatePaths) -> Check:
    if candidates.cut:
        detail = by_rule("no anchor within the number of certificates that is allowed", "max_depth")
        return failed(Step.PATH, "issuer", Reason.PATH_TOO_LONG, detail)
    if candidates.first:
        detail = "its issuer is a recognised CA, but no trust anchor stands above that"
    elif register.named(leaf.issuer_key):
        detail = f"its issuer's name is known, but not with its authority key identifier {leaf.authority_key_id[:80]}"
    else:
        detail = "its issuer is none of the recognised CAs"
    return failed(Step.PATH, "issuer", Reason.CERTIFICATE_UNTRUSTED, detail)


def _validate(
    leaf: Certificate,
    above: CaPath | None,
    trust: ProviderTrust,
    *,
    at: datetime,
    provider: str | None,
    site: str | None,
) -> CertificationPath:
    policy = trust.policy
    certificates = (leaf, *above.certificates) if above else (leaf,)
    checks = [_chain(leaf, above, policy)]
    if checks[0].passed:
        checks += (
            _dates(leaf, above, policy, at),
            _authorities(above, policy, at),
            _policies(certificates, above, policy),
            _provider(trust, provider, site),
        )
    return CertificationPath(tuple(checks), certificates, above, trust if above else None, all(check.passed for check in checks))


def _chain(leaf: Certificate, above: CaPath | None, policy: Policy) -> Check:
    fault = chain_fault(leaf, above, strict=policy.strict_extensions)
    if fault is not None:
        return failed(Step.PATH, "chain", _reason(fault.code), f"certificate {fault.depth} of the path: {fault.text}")
    return above.passed_check if above else passed(Step.PATH, "chain", f"1 certificates, anchor {leaf.spki_sha256[:16]}")


def _reason(code: int) -> Reason:
    if code in _UNTRUSTED:
        return Reason.CERTIFICATE_UNTRUSTED
    return Reason.PATH_TOO_LONG if code == _TOO_LONG else Reason.PATH_INVALID


def _dates(leaf: Certificate, above: CaPath | None, policy: Policy, at: datetime) -> Check:
    """Validity includes both ends, to the end of the last second (RFC 5280 clause 4.1.2.5)."""
    at = at.replace(microsecond=0)
    if above is not None and not above.start <= at <= above.end:
        number, ca = next((n, ca) for n, ca in enumerate(above.certificates, 1) if not ca.not_before <= at <= ca.not_after)
        dates = f"{ca.not_before.isoformat()} to {ca.not_after.isoformat()}"
        detail = f"CA certificate {number} of the path is outside its dates, {dates}"
        return failed(Step.PATH, "dates", Reason.PATH_EXPIRED, detail)
    if at < leaf.not_before:
        return failed(Step.PATH, "dates", Reason.CERTIFICATE_NOT_YET_VALID, f"valid from {leaf.not_before.isoformat()}")
    if at > leaf.not_after and at > _end(leaf, policy):
        return failed(Step.PATH, "dates", Reason.CERTIFICATE_EXPIRED, f"expired at {leaf.not_after.isoformat()}")
    return _DATES_GOOD


def _end(leaf: Certificate, policy: Policy) -> datetime:
    """The last moment at which the leaf is accepted, grace days included."""
    try:
        return leaf.not_after + timedelta(days=policy.grace_days)
    except OverflowError:
        return leaf.not_after  # 9999-12-31: a certificate without an end


def _authorities(above: CaPath | None, policy: Policy, at: datetime) -> Check:
    found = above.fault(policy, at) if above else None
    if found is not None:
        number, (reason, detail) = found
        return failed(Step.PATH, "CA certificates", reason, f"CA certificate {number} of the path: {detail}")
    return _CAS_GOOD


def _policies(certificates: tuple[Certificate, ...], above: CaPath | None, policy: Policy) -> Check:
    if not (policy.require_explicit_policy or policy.required_policies or constrains_policies(certificates[0])) and (
        above is None or not above.demands_policies
    ):
        return _POLICIES_GOOD
    try:
        check_policies(certificates, policy)
    except PolicyFault as fault:
        if not policy.required_policies:
            detail = by_rule(str(fault), "require_explicit_policy") if policy.require_explicit_policy else str(fault)
            return failed(Step.PATH, "certificate policies", Reason.PATH_INVALID, detail)
        detail = by_rule(str(fault), "required_policies")
        return failed(Step.PATH, "certificate policies", Reason.POLICY_NOT_ALLOWED, detail)
    return _POLICIES_GOOD


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
