"""Record what an accepted answer rests on, while it is judged: before the transaction of its act, which then adds one row."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from calock.core.challenge import Challenge
from calock.core.receipts.record import VERSION, Record, Revocation, sha256
from calock.core.register import ProviderTrust, Register
from calock.core.verdict import Check, RevocationStatus, Verdict
from calock.server.audit.canonical import clean
from calock.server.receipts.blobs import keep_chain, keep_evidence, keep_policy
from calock.server.sessions.context import RequestContext


@dataclass(frozen=True, slots=True)
class Draft:
    """What a receipt will keep. ``digest`` goes into the audit row, which so speaks for all of it."""

    purpose: str
    record: bytes
    token: bytes
    digest: str
    session: str


def draft_of(
    verdict: Verdict,
    *,
    challenge: Challenge,
    text: str,
    token: bytes,
    app_version: str,
    register: Register,
    context: RequestContext,
) -> Draft:
    """Record an accepted verdict. Public data that is new here is kept at once, outside of any transaction."""
    assert verdict.provider is not None
    session = context.session.digest if context.session else ""
    record = Record(
        version=VERSION,
        statement=challenge.statement,
        challenge=text,
        token=sha256(token),
        origin=context.origin,
        at=_moment(context.judged_at),
        ip=context.ip or "",
        user_agent=clean(context.user_agent),
        session=session,
        driver=clean(app_version, 100),
        provider=verdict.provider.code,
        register=register.fingerprint,
        policy=_policy(verdict.provider, register),
        chain=keep_chain(verdict.path),
        revocation=tuple(map(_revocation, verdict.revocation)),
        checks=tuple(_checks(verdict.checks)),
    )
    keep_evidence(verdict)
    octets = record.octets()
    return Draft(challenge.purpose, octets, token, sha256(octets), session)


def _policy(provider: ProviderTrust, register: Register) -> str:
    return keep_policy(register.fingerprint, provider.code, provider.policy)


@lru_cache(maxsize=512)
def _moment(at: datetime | None) -> str:
    """Those of revocation data come again with each login."""
    return at.astimezone(UTC).isoformat() if at else ""


def _revocation(status: RevocationStatus) -> Revocation:
    return Revocation(
        certificate=status.certificate_sha256,
        source=status.source,
        evidence=status.evidence_sha256,
        this_update=_moment(status.this_update),
        next_update=_moment(status.next_update),
        revoked_at=_moment(status.revoked_at),
        detail=status.detail,
    )


def _checks(checks: Iterable[Check]) -> Iterable[tuple[str, str, str, str, str]]:
    for check in checks:
        yield (
            str(check.step or ""),
            check.name,
            "passed" if check.passed else "skipped",
            str(check.reason or ""),
            check.detail,
        )
