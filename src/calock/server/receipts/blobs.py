"""Public data that receipts rest on, kept once for all of them: CA certificates, rules, CRLs, OCSP answers.

Each process remembers what it has kept: a login asks for nothing of that, unless a CRL is new. It is written outside of the act's
transaction: what a failed act leaves behind does no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

from calock.core.certificates.certificate import Certificate
from calock.core.policy import Policy
from calock.core.verdict import RevocationStatus, Verdict
from calock.server.receipts.models import Blob
from calock.server.revocation import manifest, ocsp_cache

MAX_KEPT = 1 << 20
"""Octets of a CRL that are kept. A larger one stands in receipts by its SHA-256 alone, with its number and dates."""
_MOST = 50_000

_kept: set[str] = set()
"""What is in the table, as far as this process knows."""
_policies: dict[tuple[str, str], str] = {}


def forget() -> None:
    """Look into the table again: between tests."""
    _kept.clear()
    _policies.clear()


def _keep(sha256: str, kind: str, data: Callable[[], bytes | None]) -> None:
    if sha256 in _kept:
        return
    found = data()
    if found is not None:
        Blob.objects.bulk_create([Blob(sha256=sha256, kind=kind, data=found)], ignore_conflicts=True)
    if len(_kept) >= _MOST:
        _kept.clear()
    _kept.add(sha256)


@lru_cache(maxsize=512)
def _digest(ca: bytes) -> str:
    return hashlib.sha256(ca).hexdigest()


def keep_chain(path: Sequence[bytes]) -> tuple[str, ...]:
    """Keep the CA certificates of a path; the digests of all of it, the lock's first."""
    names = (hashlib.sha256(path[0]).hexdigest(), *map(_digest, path[1:]))
    for name, der in zip(names[1:], path[1:], strict=True):
        _keep(name, "ca", lambda der=der: der)  # type: ignore[misc]
    return names


def keep_policy(register: str, provider: str, policy: Policy) -> str:
    """Keep a provider's rules; their digest."""
    known = _policies.get((register, provider))
    if known is not None and known in _kept:
        return known
    text = msgspec.json.encode(policy.to_json(), order="sorted")
    name = hashlib.sha256(text).hexdigest()
    _keep(name, "policy", lambda: text)
    if len(_policies) >= _MOST:
        _policies.clear()
    _policies[register, provider] = name
    return name


def keep_evidence(verdict: Verdict) -> None:
    """Keep the CRLs and OCSP answers that decided, as far as this machine has them and they are not too large."""
    for place, status in enumerate(verdict.revocation):
        if status.evidence_sha256 and status.source != "stapled":  # a stapled answer is in the lock's answer itself
            _keep(status.evidence_sha256, status.source, lambda place=place, status=status: _found(verdict, place, status))  # type: ignore[misc]


def _found(verdict: Verdict, place: int, status: RevocationStatus) -> bytes | None:
    path = manifest.directory() / f"{status.evidence_sha256}.crl"
    if status.source == "ocsp" and place + 1 < len(verdict.path):
        assert verdict.provider is not None
        certificate, issuer = (Certificate.parse(der) for der in verdict.path[place : place + 2])
        path = ocsp_cache.path_of(verdict.provider.code, issuer.spki_sha256, certificate.serial)
    data = _read(path)
    return data if data is not None and hashlib.sha256(data).hexdigest() == status.evidence_sha256 else None


def _read(path: Path) -> bytes | None:
    with suppress(OSError):
        if path.stat().st_size <= MAX_KEPT:
            return path.read_bytes()
    return None
