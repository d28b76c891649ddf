"""The CA part of a certification path: from the CA certificate that issued a leaf to the anchor. It does not depend on the leaf.

Candidates are built from the register by name and key identifier, within bounds on number and length, before anything in them
is verified, and cached with the register. They consist of CA certificates of one provider; certificates that a client sends are
not used.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.keys import Fault
from calock.core.checks.gate import ca_fault
from calock.core.der.extensions import OID_NAME_CONSTRAINTS
from calock.core.paths.policy_tree import constrains_policies
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.register import MAX_NAMESAKES, Issuer, ProviderTrust, Register
from calock.core.verdict import Check, Step, passed

MAX_CANDIDATES = 16
"""Candidates that are validated for one certificate."""
MAX_VISITS = 256
"""CA certificates that are visited while candidates are built."""


class CaPath:
    """The CA part of one path. ``issuers``: from the CA that issues leaves to the anchor, in order."""

    def __init__(self, issuers: tuple[Issuer, ...]) -> None:
        self.issuers = issuers
        self.issuer = issuers[0]
        self.provider: ProviderTrust = issuers[0].provider
        self.certificates: tuple[Certificate, ...] = tuple(issuer.certificate for issuer in issuers)
        self.start: datetime = max(certificate.not_before for certificate in self.certificates)
        self.end: datetime = min(certificate.not_after for certificate in self.certificates)
        constraining = [n for n, ca in enumerate(self.certificates, 1) if OID_NAME_CONSTRAINTS in ca.by_oid]
        self.constrained: int = max(constraining, default=0)
        """Number of certificates of a path, from the leaf on, that lie below a CA with name constraints."""
        self.demands_policies: bool = any(map(constrains_policies, self.certificates))
        self.passed_check: Check = passed(
            Step.PATH, "chain", f"{len(issuers) + 1} certificates, anchor {issuers[-1].ca.spki_sha256[:16]}"
        )
        self.engine_verdicts: dict[bool, bool] = {}
        """Whether chain.py may verify leaves against the issuing CA alone, by strictness."""
        self.leaf_accepted: set[bool] = set()
        """Strictnesses with which OpenSSL has accepted a leaf of the issuing CA, and so the CA itself."""
        self.same_keys: Any = None
        """Other certificates over its keys, once they were looked for (decision/path_choice.py)."""
        self.purposes: Check | None = None
        """Whether its certificates allow issuing locks (profile.py), once that was checked."""
        self._faults: dict[tuple[bool, bool], tuple[int, Fault] | None] = {}

    def fault(self, policy: Policy, at: datetime) -> tuple[int, Fault] | None:
        """The first of its certificates (1 = the leaf's issuer) that the provider's rules do not allow, and why.

        Computed once for each state of the dated exceptions, the only thing here that depends on time.
        """
        key = (policy.allows_legacy("SHA1", at), policy.allows_legacy("RSA1024", at))
        if key not in self._faults:
            found = ((number, ca_fault(issuer.certificate, policy, at, anchor=issuer.ca.anchor))
                     for number, issuer in enumerate(self.issuers, 1))  # fmt: skip
            self._faults[key] = next(((number, fault) for number, fault in found if fault is not None), None)
        return self._faults[key]


class CandidatePaths(NamedTuple):
    """CA parts that may lead from one certificate to an anchor, the most likely first (RFC 4158 clause 3)."""

    first: tuple[Issuer, ...]
    """CA certificates that may have issued it."""
    paths: tuple[CaPath, ...]
    cut: bool
    """A candidate was dropped because it grew too long."""
    untried: bool = False
    """There are more candidates than are tried for one certificate."""


def candidate_paths(
    leaf: Certificate, register: Register, *, provider: str | None = None, site: str | None = None
) -> CandidatePaths:
    """CA parts that may have issued ``leaf``, the shortest first. Nothing in them is verified yet.

    One CA may stand under several providers, on a site of each. Where one of them is recognised by ``site``, and of these where one
    is ``provider`` (a code), the others are not looked at.
    """
    first = _issuers_of(leaf, register)
    first = _preferred(first, lambda trust: site in trust.sites)
    first = _preferred(first, lambda trust: provider == trust.code)
    if not first:
        return _NONE
    known = register.path_cache.get(first)
    if not isinstance(known, CandidatePaths):
        known = register.path_cache[first] = _build(first, register)
    return known


def _preferred(issuers: tuple[Issuer, ...], fits: Callable[[ProviderTrust], bool]) -> tuple[Issuer, ...]:
    """Those whose provider fits, or all when none does: a path of another provider then says what is wrong."""
    if len(issuers) < 2:
        return issuers
    return tuple(issuer for issuer in issuers if fits(issuer.provider)) or issuers


_NONE = CandidatePaths((), (), cut=False)


def _issuers_of(certificate: Certificate, register: Register) -> tuple[Issuer, ...]:
    """CA certificates that may have issued this one, likeliest first; none when its names cannot be read."""
    try:
        name, key_id = certificate.issuer_key, certificate.authority_key_id
    except Refusal:
        return ()
    fitting = register.candidates(name, key_id)
    if len(fitting) < 2:
        return fitting
    return tuple(sorted(fitting, key=lambda issuer: (issuer.key_id != key_id, not issuer.ca.anchor)))


def _build(first: Sequence[Issuer], register: Register) -> CandidatePaths:
    waiting: deque[tuple[Issuer, ...]] = deque((issuer,) for issuer in first)
    found: list[CaPath] = []
    visits, cut = 0, False
    while waiting and visits < MAX_VISITS and len(found) < MAX_CANDIDATES:
        path = waiting.popleft()
        visits += 1
        left = path[0].provider.policy.max_depth - len(path) - 1  # one more is the leaf
        if left >= 0 and path[-1].ca.anchor:
            found.append(CaPath(path))
        elif left > 0:
            waiting += _extended(path, register)
        else:
            cut = True
    namesakes = len(register.named(first[0].subject_key))
    return CandidatePaths(tuple(first), tuple(found), cut, untried=bool(waiting) or namesakes > len(first) >= MAX_NAMESAKES)


def _extended(path: tuple[Issuer, ...], register: Register) -> list[tuple[Issuer, ...]]:
    """The path with one more certificate, of the same provider: trust, sites and suspension belong to a provider."""
    seen = {issuer.ca.der for issuer in path}
    above = _issuers_of(path[-1].certificate, register)
    return [(*path, issuer) for issuer in above if issuer.provider is path[0].provider and issuer.ca.der not in seen]
