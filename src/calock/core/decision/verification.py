"""One decision under way: its setting, and the five steps over it in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.checks.gate import check_gate
from calock.core.checks.identity import check_identity
from calock.core.checks.profile import check_ca_purposes, check_profile
from calock.core.decision.cache import Key, Known, Memory
from calock.core.paths.ca_path import CaPaths, ca_paths
from calock.core.paths.path import Path, check_path, claimed_issuer, lifetime, provider_fits
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.register import Register
from calock.core.revocation.check import check_revocation
from calock.core.revocation.evidence import Evidence, NoEvidence
from calock.core.verdict import ALL_STEPS, Check, Identity, RevocationStatus, Step, Verdict, failed, skipped


@dataclass(frozen=True, slots=True)
class Setting:
    """What a decision stands on, besides the certificate itself."""

    register: Register
    at: datetime
    evidence: Evidence = field(default_factory=NoEvidence)
    provider: str | None = None
    """Code of the provider the person chose; None = any."""
    site: str | None = None
    """Site on which the certificate is used; None = do not ask whether the site recognises the provider."""
    steps: AbstractSet[Step] = ALL_STEPS
    stapled: tuple[bytes, ...] = ()
    device_serial: str = ""
    memory: Memory | None = None
    """What may be remembered between decisions; None = nothing."""
    revocation_given: bool = True
    """False: nobody gave revocation data and nobody demands it, so the step is reported as skipped (command line only)."""


class Run:
    """One decision under way."""

    __slots__ = (
        "_found",
        "_rules",
        "certificate",
        "checks",
        "done",
        "identity",
        "known",
        "path",
        "refused",
        "revocation",
        "setting",
    )

    def __init__(self, setting: Setting, certificate: Certificate, known: Known | None = None) -> None:
        self.setting = setting
        self.certificate = certificate
        self.known = known
        self.checks: list[Check] = []
        self.done: dict[Step, Sequence[Check]] = {}
        self.refused = False
        self.path: Path | None = known.path if known else None
        self.identity: Identity | None = known.identity if known else None
        self.revocation: tuple[RevocationStatus, ...] = ()
        self._found: CaPaths | None = None
        self._rules: Policy | None = None

    def add(self, check: Check) -> None:
        self.checks.append(check)
        self.refused = self.refused or check.passed is False

    def do(self, step: Step) -> None:
        """Take one step, unless it is not asked for, or one before it failed."""
        if step not in self.setting.steps:
            return
        if self.refused:
            self.checks.append(skipped(step, step.value, "not reached"))
            return
        if self.known is not None and step is not Step.REVOCATION:
            self.checks += self.known.checks[step]
            return
        try:
            checks = _STEPS[step](self)
        except Refusal as refusal:  # a malformed field met only here, e.g. when the gate was left out
            checks = (failed(step, "readable", refusal.reason, refusal.detail),)
        self.done[step] = checks
        self.checks += checks
        for check in checks:
            if check.passed is False:
                self.refused = True

    def policy(self) -> Policy:
        """The rules of the provider whose CA issued it; before that is proved, of the one it names."""
        if self._rules is None:
            if self.path is not None and self.path.provider is not None:
                self._rules = self.path.provider.policy
            else:
                self._rules = self._claimed_rules()
        return self._rules

    def _claimed_rules(self) -> Policy:
        register = self.setting.register
        self._found = ca_paths(self.certificate, register)
        issuer = claimed_issuer(self.certificate, register, self._found)
        if issuer is not None:
            return issuer.provider.policy
        return register.providers[0].policy if len(register.providers) == 1 else Policy()

    def _found_path(self) -> Path:
        if self.path is None:
            setting = self.setting
            self.path = check_path(
                self.certificate, setting.register, at=setting.at, provider=setting.provider, site=setting.site, found=self._found
            )
            if self.path.provider is not None:
                self._rules = self.path.provider.policy
        return self.path

    def _gate(self) -> Sequence[Check]:
        return check_gate(self.certificate, self.policy(), self.setting.at)

    def _judged_path(self) -> Sequence[Check]:
        judged_by = self.policy()
        path = self._found_path()
        if path.holds and self._rules is not judged_by and Step.GATE in self.setting.steps:
            again = check_gate(self.certificate, self.policy(), self.setting.at)
            return (*path.checks, *(check for check in again if check.passed is False))
        return path.checks

    def _judged_revocation(self) -> Sequence[Check]:
        path, setting = self._found_path(), self.setting
        if len(path.certificates) == 1:
            return (skipped(Step.REVOCATION, "revocation", "the certificate is itself a trust anchor"),)
        if not setting.revocation_given:
            return (skipped(Step.REVOCATION, "revocation", "no revocation data given"),)
        result = check_revocation(
            path.certificates or (self.certificate,), evidence=setting.evidence, policy=self.policy(), at=setting.at,
            stapled=setting.stapled, anchored=bool(path.certificates),
        )  # fmt: skip
        self.revocation = result.statuses
        return result.checks

    def _profile(self) -> Sequence[Check]:
        checks, above = check_profile(self.certificate, self.policy()), self.path.above if self.path else None
        if above is None or len(above.certificates) == 1:
            return checks
        if above.purposes is None:
            above.purposes = check_ca_purposes(above.certificates[:-1], self.policy())
        return (*checks, above.purposes)

    def _read_identity(self) -> Sequence[Check]:
        checks, self.identity = check_identity(self.certificate, self.policy(), device_serial=self.setting.device_serial)
        return checks

    def keep(self, memory: Memory, key: Key) -> None:
        """Remember an accepted certificate, unless a dated exception may have taken part in it."""
        path = self.path
        if self.known is None and not self.refused and path is not None and path.holds and not self.policy().legacy:
            start, end = lifetime(path)
            memory.keep(key, self.setting.register, Known(self.certificate, self.done, path, self.identity, start, end))

    def repeated(self, fit: Check, signed: Check) -> Verdict:
        """The verdict on a remembered certificate whose key has just signed: revocation is what remains to be judged."""
        assert self.known is not None
        done = self.known.checks
        self.checks = [fit, *done.get(Step.GATE, ()), signed, *done.get(Step.PATH, ())]
        self.do(Step.REVOCATION)
        if self.refused:
            self.do(Step.PROFILE)
            self.do(Step.IDENTITY)
        else:
            self.checks += (*done.get(Step.PROFILE, ()), *done.get(Step.IDENTITY, ()))
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


def recalled(setting: Setting, key: Key) -> Run | None:
    """A run that starts from what is remembered, when time, choice and site do not speak against it."""
    known = setting.memory.recall(key, setting.register) if setting.memory is not None else None
    if known is None or not known.start <= setting.at <= known.end:
        return None
    if not provider_fits(known.path.provider, provider=setting.provider, site=setting.site):
        return None
    return Run(setting, known.certificate, known)


_STEPS: dict[Step, Callable[[Run], Sequence[Check]]] = {
    Step.GATE: Run._gate,  # noqa: SLF001 - this class's own steps, by name
    Step.PATH: Run._judged_path,  # noqa: SLF001 - same
    Step.REVOCATION: Run._judged_revocation,  # noqa: SLF001 - same
    Step.PROFILE: Run._profile,  # noqa: SLF001 - same
    Step.IDENTITY: Run._read_identity,  # noqa: SLF001 - same
}
