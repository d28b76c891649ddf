"""What a verifier may remember of a certificate between two decisions: only what no clock and no evidence can change.

Kept: form, key strength, the signatures of the path, policies, profile, identity. Judged anew each time: the answer's signature,
dates, provider and site, revocation. So a remembered certificate can never outlive its dates or its revocation.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.paths.path import Path
from calock.core.register import Register
from calock.core.verdict import Check, Identity, Step

Key = tuple[bytes, AbstractSet[Step], str]


class Known(msgspec.Struct, frozen=True):
    """The lasting part of one accepted decision."""

    certificate: Certificate
    checks: Mapping[Step, Sequence[Check]]
    path: Path
    identity: Identity | None
    start: datetime
    end: datetime
    """Between these the dates of the whole path hold; outside everything is judged anew."""


class Memory:
    """A bounded memory that its owner passes in. It belongs to one register at a time: another one empties it."""

    def __init__(self, capacity: int = 4096) -> None:
        self.capacity = capacity
        self._known: dict[Key, Known] = {}
        self._register: Register | None = None
        self._lock = threading.Lock()

    @staticmethod
    def key(der: bytes, steps: AbstractSet[Step], device_serial: str) -> Key:
        return hashlib.sha256(der).digest(), steps, device_serial

    def recall(self, key: Key, register: Register) -> Known | None:
        return self._known.get(key) if self._register is register else None

    def keep(self, key: Key, register: Register, known: Known) -> None:
        with self._lock:
            if self._register is not register:
                self._known, self._register = {}, register
            while len(self._known) >= self.capacity:
                del self._known[next(iter(self._known))]  # the oldest
            self._known[key] = known

    def __len__(self) -> int:
        return len(self._known)
