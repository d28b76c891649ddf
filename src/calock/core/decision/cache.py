"""Cache of verified certificates. It holds only results that neither time nor revocation evidence can change.

Cached: form, key strength, signatures of the path, policies, profile, identity. Checked again each time: the answer's
signature, dates, provider and site, revocation. So a cached certificate is refused as soon as it expires or is revoked.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.paths.path import CertificationPath
from calock.core.register import Register
from calock.core.verdict import Check, Identity, Step

CacheKey = tuple[bytes, AbstractSet[Step], str]


class CachedVerification(msgspec.Struct, frozen=True):
    """The part of an accepted verification that does not change."""

    certificate: Certificate
    checks: Mapping[Step, Sequence[Check]]
    path: CertificationPath
    identity: Identity | None
    start: datetime
    end: datetime
    """The period in which the whole path is within its dates; outside it the cache is not used."""


class VerificationCache:
    """A bounded cache, kept by the caller. It is emptied when another register is used."""

    def __init__(self, capacity: int = 4096) -> None:
        self.capacity = capacity
        self._known: dict[CacheKey, CachedVerification] = {}
        self._register: Register | None = None
        self._lock = threading.Lock()

    @staticmethod
    def key(der: bytes, steps: AbstractSet[Step], device_serial: str) -> CacheKey:
        return hashlib.sha256(der).digest(), steps, device_serial

    def find(self, key: CacheKey, register: Register) -> CachedVerification | None:
        return self._known.get(key) if self._register is register else None

    def store(self, key: CacheKey, register: Register, cached: CachedVerification) -> None:
        with self._lock:
            if self._register is not register:
                self._known, self._register = {}, register
            while len(self._known) >= self.capacity:
                del self._known[next(iter(self._known))]  # the oldest
            self._known[key] = cached

    def __len__(self) -> int:
        return len(self._known)
