"""The paths of locks with live sessions, found once and kept from sweep to sweep: looking a lock at again costs look-ups only.

The path is the one that a login would find (:func:`calock.core.decision.path_choice.choose_path`), not one by name: two roots
may have one name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from calock.core.certificates.certificate import Certificate
from calock.core.decision.inputs import VerificationInputs
from calock.core.decision.path_choice import certificates_over_the_same_keys, choose_path
from calock.core.paths.path import CertificationPath, common_validity
from calock.core.policy import Policy
from calock.core.refusals import Reason
from calock.core.register import Register
from calock.core.revocation.check import SameKey
from calock.core.verdict import Step

MOST = 20_000
"""Paths kept, at 2 KB each; those beyond are found anew at each sweep."""


_STEPS = frozenset({Step.PATH, Step.REVOCATION, Step.PROFILE})


@dataclass(frozen=True, slots=True)
class Ground:
    """What one certificate stands on. ``certificates``: leaf first, anchor last."""

    certificates: tuple[Certificate, ...]
    provider: str
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

    def of(self, key: str, at: datetime) -> Ground | None:
        """What is kept of a certificate on a site, as long as its dates need no second look."""
        found = self._kept.get(key)
        return found if found is not None and found.start <= at <= found.end else None

    def find(self, key: str, der: bytes, inputs: VerificationInputs) -> Ground | Reason:
        """Find and judge the path of a certificate, and keep it under ``key`` when it holds; else a login's reason.

        Of several paths it is one without a revoked CA certificate, if there is one.

        Raises:
            Refusal: the certificate cannot be read.
        """
        leaf = Certificate.parse(der)
        path = choose_path(leaf, replace(inputs, steps=_STEPS)).path
        if not path.holds or path.provider is None:
            return _reason(path)
        provider = path.provider
        again = Certificate.parse(der)  # without what judging the path took out of it: a fifth of the memory
        same_keys = certificates_over_the_same_keys(path.above, inputs.register)
        ground = Ground((again, *path.certificates[1:]), provider.code, provider.policy, *common_validity(path), same_keys)
        if len(self._kept) < self.capacity and not provider.policy.legacy:  # a dated exception is looked at again
            self._kept[key] = ground
        return ground

    def forget(self, key: str) -> None:
        """Look for the path of this certificate on this site again."""
        self._kept.pop(key, None)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Let go of what no live session needs any more."""
        for key in self._kept.keys() - set(wanted):
            del self._kept[key]


def _reason(path: CertificationPath) -> Reason:
    return next((check.reason for check in path.checks if check.reason is not None), Reason.CERTIFICATE_UNTRUSTED)
