"""What an audit row keeps of a decision about a certificate: whose it is, which keys it rests on, and which revocation data spoke.

With these an auditor can tell years later what the server knew when it let somebody in or did not (docs/decisions/audit.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from calock.core.paths.path import check_path
from calock.core.register import Register
from calock.core.verdict import RevocationStatus, Step, Verdict

Details = dict[str, str | int | bool]
_PREFIX = "revocation_"
_FORM = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who issued the certificate of an answer whose signature held. Empty: that is not proved."""

    provider: str = ""
    issuer_key: str = ""
    """SPKI SHA-256 of the issuing CA, lower-case hex."""
    anchor_key: str = ""


def origin_of(verdict: Verdict, register: Register, at: datetime) -> Origin:
    """Whose CA issued the certificate, also when the verdict refuses it for its dates, the site or the chosen provider.

    Known only when the answer's signature and the chain hold: nobody without the lock can make refusals count for a provider.
    """
    passed = {(check.step, check.name) for check in verdict.checks if check.passed}
    if not {(Step.SIGNATURE, "signature"), (Step.PATH, "chain")} <= passed or verdict.certificate is None:
        return Origin()
    if verdict.provider is not None and verdict.issuer is not None:
        anchor = register.anchor_with(verdict.path[-1])
        return Origin(verdict.provider.code, verdict.issuer.spki_sha256, anchor.ca.spki_sha256 if anchor else "")
    path = check_path(verdict.certificate, register, at=at)
    if path.provider is None or len(path.certificates) < 2:
        return Origin()
    return Origin(path.provider.code, path.certificates[1].spki_sha256, path.certificates[-1].spki_sha256)


def details_of(verdict: Verdict, origin: Origin) -> Details:
    """Of an audit row: certificate, issuing and anchor key, and for each certificate of the path one text about its revocation."""
    details: Details = {}
    if verdict.certificate is not None:
        details["certificate"] = verdict.certificate.sha256
    if verdict.accepted and verdict.certificate is not None:
        details["algorithm"] = verdict.certificate.algorithm
    if origin.issuer_key:
        details["issuer_key"], details["anchor_key"] = origin.issuer_key, origin.anchor_key
    details.update(_revocation(verdict))
    return details


def _revocation(verdict: Verdict) -> Iterator[tuple[str, str]]:
    checks = [check for check in verdict.checks if check.step is Step.REVOCATION and check.name.startswith("revocation-")]
    for check, status in zip(checks, verdict.revocation, strict=False):  # a check may stand for a step that was not reached
        finding = "good" if check.passed else f"{check.reason.value if check.reason else 'waived'}: {check.detail}"
        yield f"{_PREFIX}{check.name.removeprefix('revocation-').replace('-', '_')}", _text(status, finding)


def _text(status: RevocationStatus, finding: str) -> str:
    """``crl 2026-11-25T10:00:00Z 2026-11-26T10:00:00Z <sha256> good``."""
    since = f" (since {_moment(status.revoked_at)})" if status.revoked_at else ""
    return f"{_source(status.source, status.this_update, status.next_update, status.evidence_sha256)} {finding}{since}"


@lru_cache(maxsize=4096)
def _source(source: str, this: datetime | None, following: datetime | None, sha256: str) -> str:
    """One CRL speaks of every lock of its CA: it is formatted once."""
    return f"{source or '-'} {_moment(this)} {_moment(following)} {sha256 or '-'}"


def _moment(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime(_FORM) if at else "-"


@dataclass(frozen=True, slots=True)
class RevocationEvidence:
    """One such text, taken apart again for a page."""

    subject: str
    """``leaf``, ``ca_1`` …"""
    source: str
    this_update: datetime | None
    next_update: datetime | None
    sha256: str
    finding: str


def read_back(details: Mapping[str, object]) -> tuple[list[RevocationEvidence], dict[str, object]]:
    """The revocation evidence among a row's details, the lock's certificate first, and the other details."""
    found, others = [], {}
    for name, value in details.items():
        evidence = _read(name, str(value)) if name.startswith(_PREFIX) else None
        if evidence is None:
            others[name] = value
        else:
            found.append(evidence)
    return sorted(found, key=lambda item: (item.subject != "leaf", item.subject)), others


def _read(name: str, text: str) -> RevocationEvidence | None:
    try:
        source, this, following, sha256, finding = ("" if part == "-" else part for part in text.split(" ", 4))
        return RevocationEvidence(name.removeprefix(_PREFIX), source, _at(this), _at(following), sha256, finding)
    except ValueError:
        return None


def _at(text: str) -> datetime | None:
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC) if text else None
