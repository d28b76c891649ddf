"""One decision under way: its setting, and the five steps over it in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from calock.core.certificate import Certificate
from calock.core.evidence import Evidence, NoEvidence
from calock.core.gate import check_gate
from calock.core.identity import Identity, check_identity
from calock.core.path import Path, check_path, claimed_issuer, lifetime, provider_fits
from calock.core.policy import Policy
from calock.core.profile import check_profile
from calock.core.refusals import Refusal
from calock.core.register import Register
from calock.core.remember import Key, Known, Memory
from calock.core.revocation import check_revocation
from calock.core.verdict import ALL_STEPS, Check, RevocationStatus, Step, Verdict, failed, skipped


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


@dataclass(slots=True)
class Run:
    """One decision under way."""

    setting: Setting
    certificate: Certificate
    checks: list[Check] = field(default_factory=list)
    known: Known | None = None
    path: Path | None = None
    claimed: Policy | None = None
    refused: bool = False
    identity: Identity | None = None
    revocation: tuple[RevocationStatus, ...] = ()
    done: dict[Step, tuple[Check, ...]] = field(default_factory=dict)

    def add(self, *checks: Check) -> None:
        self.checks += checks
        self.refused = self.refused or any(check.passed is False for check in checks)

    def do(self, step: Step) -> None:
        if step not in self.setting.steps:
            return
        if self.refused:
            self.checks.append(skipped(step, step.value, "not reached"))
            return
        if self.known is not None and step is not Step.REVOCATION:
            self.checks += self.known.checks[step]
            return
        try:
            self.done[step] = checks = tuple(STEPS[step](self))
            self.add(*checks)
        except Refusal as refusal:  # a malformed field met only here, e.g. when the gate was left out
            self.add(failed(step, "readable", refusal.reason, refusal.detail))

    def policy(self) -> Policy:
        """The rules of the provider whose CA issued it; before that is proved, of the one it names."""
        if self.path is not None and self.path.provider is not None:
            return self.path.provider.policy
        if self.claimed is None:
            issuer = claimed_issuer(self.certificate, self.setting.register)
            providers = self.setting.register.providers
            only = providers[0].policy if len(providers) == 1 else Policy()
            self.claimed = issuer.provider.policy if issuer else only
        return self.claimed

    def _found_path(self) -> Path:
        setting = self.setting
        if self.path is None:
            self.path = check_path(self.certificate, setting.register, at=setting.at, provider=setting.provider, site=setting.site)
        return self.path

    def gate(self) -> Iterable[Check]:
        return check_gate(self.certificate, self.policy(), self.setting.at)

    def judged_path(self) -> Iterable[Check]:
        judged_by = self.policy()
        path = self._found_path()
        if path.holds and Step.GATE in self.setting.steps and self.policy() is not judged_by:
            again = check_gate(self.certificate, self.policy(), self.setting.at)
            return [*path.checks, *(check for check in again if check.passed is False)]
        return path.checks

    def judged_revocation(self) -> list[Check]:
        path = self._found_path()
        certificates = path.certificates or (self.certificate,)
        rules = self.policy()
        if len(path.certificates) == 1:
            return [skipped(Step.REVOCATION, "revocation", "the certificate is itself a trust anchor")]
        if not self.setting.revocation_given:
            return [skipped(Step.REVOCATION, "revocation", "no revocation data given")]
        result = check_revocation(
            certificates, evidence=self.setting.evidence, policy=rules, at=self.setting.at, stapled=self.setting.stapled,
            anchored=bool(path.certificates),
        )  # fmt: skip
        self.revocation = result.statuses
        return list(result.checks)

    def profile(self) -> Iterable[Check]:
        return check_profile(self.certificate, self.policy())

    def read_identity(self) -> Iterable[Check]:
        checks, self.identity = check_identity(self.certificate, self.policy(), device_serial=self.setting.device_serial)
        return checks

    def keep(self, memory: Memory, key: Key) -> None:
        """Remember an accepted certificate, unless a dated exception may have taken part in it."""
        path = self.path
        if self.known is None and not self.refused and path is not None and path.holds and not self.policy().legacy:
            known = Known(self.certificate, self.done, path, self.identity, *lifetime(path))
            memory.keep(key, self.setting.register, known)

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
        holds = path is not None and path.holds
        return Verdict(
            checks=tuple(self.checks),
            certificate=self.certificate,
            provider=path.provider if path is not None and holds else None,
            issuer=path.issuer.ca if path is not None and holds and path.issuer else None,
            path=tuple(certificate.der for certificate in path.certificates) if path is not None and holds else (),
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
    return Run(setting, known.certificate, known=known, path=known.path, identity=known.identity)


STEPS: dict[Step, Callable[[Run], Iterable[Check]]] = {
    Step.GATE: Run.gate,
    Step.PATH: Run.judged_path,
    Step.REVOCATION: Run.judged_revocation,
    Step.PROFILE: Run.profile,
    Step.IDENTITY: Run.read_identity,
}
