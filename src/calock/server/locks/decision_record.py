"""What an audit row keeps of a decision about a certificate: whose it is, which keys it rests on, and which revocation data spoke.

With these an auditor can tell years later what the server knew when it let somebody in or did not (docs/decisions/audit.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import msgspec

from calock.core.paths.path import check_path
from calock.core.register import Register
from calock.core.verdict import Step, Verdict
from calock.server.audit.canonical import Value

Details = dict[str, Value]
_PREFIX = "revocation_"


@dataclass(frozen=True, slots=True)
class Issuance:
    """Who issued the certificate of an answer whose signature held. Empty: that is not proved."""

    provider: str = ""
    issuer_key: str = ""
    """SPKI SHA-256 of the issuing CA, lower-case hex."""
    anchor_key: str = ""


class RecordedRevocation(msgspec.Struct, frozen=True, array_like=True):
    """What revocation data said about one certificate of the path; in the audit row a list of these values in this order."""

    source: str
    """``crl``, ``ocsp``, ``stapled``; empty = there was nothing."""
    this_update: datetime | None
    next_update: datetime | None
    sha256: str
    """Of the data."""
    finding: str
    """``good``, the reason against the certificate, or ``waived``: the rules did not ask."""
    detail: str
    revoked_at: datetime | None


def issuance_of(verdict: Verdict, register: Register, at: datetime) -> Issuance:
    """Whose CA issued the certificate, also when the verdict refuses it for its dates, the site or the chosen provider.

    Known only when the answer's signature and the chain hold: without the lock no refusal is counted for a provider.
    """
    passed = {(check.step, check.name) for check in verdict.checks if check.passed}
    if not {(Step.SIGNATURE, "signature"), (Step.PATH, "chain")} <= passed or verdict.certificate is None:
        return Issuance()
    if verdict.provider is not None and verdict.issuer is not None:
        anchor = register.anchor_with(verdict.path[-1])
        return Issuance(verdict.provider.code, verdict.issuer.spki_sha256, anchor.ca.spki_sha256 if anchor else "")
    path = check_path(verdict.certificate, register, at=at)
    if path.provider is None or len(path.certificates) < 2:
        return Issuance()
    return Issuance(path.provider.code, path.certificates[1].spki_sha256, path.certificates[-1].spki_sha256)


def details_of(verdict: Verdict, issuance: Issuance) -> Details:
    """Of an audit row: certificate, issuing and anchor key, and for each certificate of the path one list about its revocation."""
    details: Details = {}
    if verdict.certificate is not None:
        details["certificate"] = verdict.certificate.sha256
    if verdict.accepted and verdict.certificate is not None:
        details["algorithm"] = verdict.certificate.algorithm
    if issuance.issuer_key:
        details["issuer_key"], details["anchor_key"] = issuance.issuer_key, issuance.anchor_key
    details.update(_revocation(verdict))
    return details


def _revocation(verdict: Verdict) -> Iterator[tuple[str, list[str | None]]]:
    checks = [check for check in verdict.checks if check.step is Step.REVOCATION and check.name.startswith("revocation-")]
    for check, status in zip(checks, verdict.revocation, strict=False):  # a check may stand for a step that was not reached
        evidence = RecordedRevocation(
            status.source,
            status.this_update,
            status.next_update,
            status.evidence_sha256,
            "good" if check.passed else check.reason.value if check.reason else "waived",
            "" if check.passed else check.detail,
            status.revoked_at,
        )
        yield f"{_PREFIX}{check.name.removeprefix('revocation-').replace('-', '_')}", msgspec.to_builtins(evidence)


def read_back(details: Mapping[str, object]) -> tuple[list[tuple[str, RecordedRevocation]], dict[str, object]]:
    """The revocation evidence among a row's details by its subject (``leaf``, ``ca_1`` …), the lock's first, and the others.

    Rows of earlier versions keep it as one line of text, which stays among the others.
    """
    found: dict[str, RecordedRevocation] = {}
    others = dict(details)
    for name in [name for name in details if name.startswith(_PREFIX)]:
        with suppress(msgspec.ValidationError):
            found[name.removeprefix(_PREFIX)] = msgspec.convert(details[name], RecordedRevocation)
            del others[name]
    return sorted(found.items(), key=lambda item: (item[0] != "leaf", item[0])), others
