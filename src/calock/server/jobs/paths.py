"""The paths of locks with live sessions, found once and kept from sweep to sweep: looking a lock at again costs look-ups only.

The path is the one that a login would find (:func:`calock.core.decision.path_choice.choose_path`), not one by name: two roots
may have one name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.path_choice import certificates_over_the_same_keys, choose_path
from calock.core.paths.path import CertificationPath, common_validity
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.core.register import Register
from calock.core.revocation.check import SameKey
from calock.core.revocation.evidence import RevocationEvidence
from calock.core.verdict import Step

MOST = 20_000
"""Paths kept, at 2 KB each; those beyond are found anew at each sweep."""


_STEPS = frozenset({Step.PATH, Step.REVOCATION, Step.PROFILE})


@dataclass(frozen=True, slots=True)
class Ground:
    """What one certificate stands on. ``certificates``: leaf first, anchor last."""

    certificates: tuple[Certificate, ...]
    policy: Policy
    start: datetime
    end: datetime
    """Between these the dates of the whole path hold."""
    same_keys: tuple[SameKey, ...] = ()
    """Other certificates over its CA keys."""


class Grounds:
    """Grounds under one register; another one, by its fingerprint, begins anew."""

    def __init__(self, capacity: int = MOST) -> None:
        self.capacity = capacity
        self._kept: dict[str, Ground] = {}
        self._fingerprint = ""

    def use(self, register: Register) -> None:
        """Judge by this register from now on."""
        if register.fingerprint != self._fingerprint:
            self._kept, self._fingerprint = {}, register.fingerprint

    def of(self, sha256: str, at: datetime) -> Ground | None:
        """What is kept of a certificate, as long as its dates need no second look."""
        found = self._kept.get(sha256)
        return found if found is not None and found.start <= at <= found.end else None

    def find(self, der: bytes, register: Register, at: datetime, evidence: RevocationEvidence) -> Ground | Reason:
        """Find and judge the path of a certificate, and keep it when it holds; else the reason that a login would be given.

        Of several paths it is one without a revoked CA certificate, if there is one.

        Raises:
            Refusal: the certificate cannot be read.
        """
        leaf = Certificate.parse(der)
        path = choose_path(leaf, VerificationInputs(register, at, evidence, steps=_STEPS)).path
        if not path.holds or path.provider is None:
            return _reason(path)
        again = Certificate.parse(der)  # without what judging the path took out of it: a fifth of the memory
        same_keys = certificates_over_the_same_keys(path.above, register)
        ground = Ground((again, *path.certificates[1:]), path.provider.policy, *common_validity(path), same_keys)
        if len(self._kept) < self.capacity and not path.provider.policy.legacy:  # a dated exception is looked at again
            self._kept[leaf.sha256] = ground
        return ground

    def forget(self, sha256: str) -> None:
        """Look for the path of this certificate again."""
        self._kept.pop(sha256, None)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Let go of what no live session needs any more."""
        for sha256 in self._kept.keys() - set(wanted):
            del self._kept[sha256]


def _reason(path: CertificationPath) -> Reason:
    return next((check.reason for check in path.checks if check.reason is not None), Reason.CERTIFICATE_UNTRUSTED)
