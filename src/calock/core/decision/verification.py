"""One verification in progress: its five steps and the checks so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from calock.core.certificates.certificate import Certificate
from calock.core.checks.gate import check_gate
from calock.core.checks.identity import check_identity
from calock.core.checks.profile import check_profile
from calock.core.decision.cache import CachedVerification, CacheKey, VerificationCache
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.path_choice import ChosenPath, ca_purposes, choose_path, revocation_of
from calock.core.paths.ca_path import CandidatePaths, candidate_paths
from calock.core.paths.path import CertificationPath, claimed_providers, common_validity, provider_acceptable
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.revocation.check import RevocationResult, check_revocation
from calock.core.verdict import Check, Identity, RevocationStatus, Step, Verdict, failed, skipped


class Verification:
    """One verification in progress."""

    __slots__ = (
        "_candidates",
        "_chosen",
        "_rules",
        "cached",
        "certificate",
        "checks",
        "checks_by_step",
        "identity",
        "inputs",
        "path",
        "refused",
        "revocation",
    )

    def __init__(self, inputs: VerificationInputs, certificate: Certificate, cached: CachedVerification | None = None) -> None:
        self.inputs = inputs
        self.certificate = certificate
        self.cached = cached
        self.checks: list[Check] = []
        self.checks_by_step: dict[Step, Sequence[Check]] = {}
        self.refused = False
        self.path: CertificationPath | None = cached.path if cached else None
        self.identity: Identity | None = cached.identity if cached else None
        self.revocation: tuple[RevocationStatus, ...] = ()
        self._candidates: CandidatePaths | None = None
        self._chosen: ChosenPath | None = None
        self._rules: Policy | None = None

    def add(self, check: Check) -> None:
        self.checks.append(check)
        self.refused = self.refused or check.passed is False

    def run_step(self, step: Step) -> None:
        """Run one step, unless it is not asked for or an earlier one failed."""
        if step not in self.inputs.steps:
            return
        if self.refused:
            self.checks.append(skipped(step, step.value, "not reached"))
            return
        if self.cached is not None and step is not Step.REVOCATION:
            self.checks += self.cached.checks[step]
            return
        try:
            checks = _STEPS[step](self)
        except Refusal as refusal:  # a malformed field, when the gate was left out
            checks = (failed(step, "readable", refusal.reason, refusal.detail),)
        self.checks_by_step[step] = checks
        self.checks += checks
        for check in checks:
            if check.passed is False:
                self.refused = True

    def policy(self) -> Policy:
        """The rules of the provider whose CA issued it; until that is verified, of a provider that it names."""
        if self._rules is None:
            self._rules = self.possible_rules()[0]
        return self._rules

    def possible_rules(self) -> tuple[Policy, ...]:
        """The rules of every provider whose CA may have issued it, as far as is known; at least one."""
        if self._rules is not None:
            return (self._rules,)
        if self.path is not None and self.path.provider is not None:
            return (self.path.provider.policy,)
        inputs, register = self.inputs, self.inputs.register
        self._candidates = candidate_paths(self.certificate, register, provider=inputs.provider, site=inputs.site)
        claimed = claimed_providers(self.certificate, register, self._candidates)
        if claimed:
            return tuple([provider.policy for provider in claimed])
        return (register.providers[0].policy if len(register.providers) == 1 else Policy(),)

    def _require_path(self) -> CertificationPath:
        if self.path is None:
            self._chosen = choose_path(self.certificate, self.inputs, self._candidates)
            self.path = self._chosen.path
            if self.path.provider is not None:
                self._rules = self.path.provider.policy
        return self.path

    def _check_gate(self) -> Sequence[Check]:
        """By the rules of the provider whose CA it names. Where several CAs have that name, the first rules that let it pass."""
        first: Sequence[Check] | None = None
        for rules in self.possible_rules():
            checks = check_gate(self.certificate, rules, self.inputs.at)
            if all(check.passed for check in checks):
                self._rules = rules
                return checks
            first = first or checks
        assert first is not None
        return first

    def _check_path(self) -> Sequence[Check]:
        judged_by = self.policy()
        path = self._require_path()
        if path.holds and self._rules is not judged_by and Step.GATE in self.inputs.steps:
            again = check_gate(self.certificate, self.policy(), self.inputs.at)
            return (*path.checks, *(check for check in again if check.passed is False))
        return path.checks

    def _check_revocation(self) -> Sequence[Check]:
        path, inputs = self._require_path(), self.inputs
        if len(path.certificates) == 1:
            return (skipped(Step.REVOCATION, "revocation", "the certificate is itself a trust anchor"),)
        if not inputs.revocation_given:
            return (skipped(Step.REVOCATION, "revocation", "no revocation data given"),)
        result = self._revocation_result(path)
        self.revocation = result.statuses
        return result.checks

    def _revocation_result(self, path: CertificationPath) -> RevocationResult:
        if self._chosen is not None and self._chosen.revocation is not None:
            return self._chosen.revocation
        if path.holds and path.provider is not None:
            return revocation_of(path, self.inputs)
        inputs = self.inputs
        evidence = inputs.evidence.of_provider(path.provider.code if path.provider else "")
        return check_revocation(
            path.certificates or (self.certificate,), evidence=evidence, policy=self.policy(), at=inputs.at,
            stapled=inputs.stapled, anchored=bool(path.certificates),
        )  # fmt: skip

    def _check_profile(self) -> Sequence[Check]:
        checks = check_profile(self.certificate, self.policy())
        purposes = ca_purposes(self.path.above, self.policy()) if self.path else None
        return checks if purposes is None else (*checks, purposes)

    def _check_identity(self) -> Sequence[Check]:
        checks, self.identity = check_identity(self.certificate, self.policy(), device_serial=self.inputs.device_serial)
        return checks

    def store(self, cache: VerificationCache, key: CacheKey) -> None:
        """Cache an accepted certificate, unless a dated exception may have played a part."""
        path = self.path
        if self.cached is None and not self.refused and path is not None and path.holds and not self.policy().legacy:
            start, end = common_validity(path)
            cache.store(
                key,
                self.inputs.register,
                CachedVerification(self.certificate, self.checks_by_step, path, self.identity, start, end),
            )

    def with_cached_checks(self, fit: Check, signed: Check) -> Verdict | None:
        """The verdict on a cached certificate whose key has just signed: only revocation has to be checked again.

        None: the cached path does not count any more, and another may.
        """
        assert self.cached is not None
        earlier = self.cached.checks
        self.checks = [fit, *earlier.get(Step.GATE, ()), signed, *earlier.get(Step.PATH, ())]
        self.run_step(Step.REVOCATION)
        inputs = self.inputs
        candidates = candidate_paths(self.certificate, inputs.register, provider=inputs.provider, site=inputs.site)
        if self.refused and len(candidates.paths) > 1:
            return None
        if self.refused:
            self.run_step(Step.PROFILE)
            self.run_step(Step.IDENTITY)
        else:
            self.checks += (*earlier.get(Step.PROFILE, ()), *earlier.get(Step.IDENTITY, ()))
        return self.verdict()

    def verdict(self) -> Verdict:
        path = self.path
        if path is None or not path.holds:
            return Verdict(tuple(self.checks), self.certificate, identity=self.identity, revocation=self.revocation)
        issuer = path.issuer
        return Verdict(
            checks=tuple(self.checks),
            certificate=self.certificate,
            provider=path.provider,
            issuer=issuer.ca if issuer else None,
            path=tuple([certificate.der for certificate in path.certificates]),
            identity=self.identity,
            revocation=self.revocation,
        )


def cached_verification(inputs: VerificationInputs, key: CacheKey) -> Verification | None:
    """A verification that starts from the cache, when the certificate is in it and dates, provider and site fit."""
    cached = inputs.cache.find(key, inputs.register) if inputs.cache is not None else None
    if cached is None or not cached.start <= inputs.at <= cached.end:
        return None
    if not provider_acceptable(cached.path.provider, provider=inputs.provider, site=inputs.site):
        return None
    return Verification(inputs, cached.certificate, cached)


_STEPS: dict[Step, Callable[[Verification], Sequence[Check]]] = {
    Step.GATE: Verification._check_gate,  # noqa: SLF001 - the steps of this class
    Step.PATH: Verification._check_path,  # noqa: SLF001 - same
    Step.REVOCATION: Verification._check_revocation,  # noqa: SLF001 - same
    Step.PROFILE: Verification._check_profile,  # noqa: SLF001 - same
    Step.IDENTITY: Verification._check_identity,  # noqa: SLF001 - same
}
