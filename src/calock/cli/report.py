"""A verdict as text for people and as JSON for programs. Personal ids are masked in both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from calock.core.certificates.certificate import Certificate
from calock.core.masking import mask_person_ids
from calock.core.refusals import Refusal
from calock.core.verdict import ALL_STEPS, Check, RevocationStatus, Step, Verdict

_WORDS = {True: "ok", False: "REFUSED", None: "skipped"}


def as_text(verdict: Verdict, at: datetime, notes: Iterable[str], steps: AbstractSet[Step] = ALL_STEPS) -> str:
    """A table of the checks, with the verdict as the last line. ``steps``: those that ran; the verdict names the others."""
    lines = [f"judged for {at.isoformat()}"]
    if verdict.certificate is not None:
        facts = _certificate(verdict.certificate)
        lines += [f"{name:<12} {facts[key]}" for name, key in _SHOWN if facts.get(key)]
    lines += [f"note: {_safe(note)}" for note in notes]
    lines += ["", f"{'step':<11}{'check':<24}{'result':<9}detail"]
    lines += [
        f"{check.step or '':<11}{check.name:<24}{_WORDS[check.passed]:<9}{_detail(check)}".rstrip() for check in verdict.checks
    ]
    lines += ["", _last_line(verdict, steps), ""]
    return "\n".join(lines)


_SHOWN = (("subject", "subject"), ("issuer", "issuer"), ("serial", "serial"), ("valid from", "not_before"),
          ("valid until", "not_after"), ("key", "key"), ("SHA-256", "sha256"))  # fmt: skip


def _last_line(verdict: Verdict, steps: AbstractSet[Step]) -> str:
    failure = verdict.failure
    if failure is None:
        skipped = sum(check.passed is None for check in verdict.checks)
        left_out = ", ".join(step for step in Step if step in ALL_STEPS - steps)
        but = [f"{skipped} checks skipped"] * bool(skipped) + [f"left out: {left_out}"] * bool(left_out)
        return "accepted" + (f" ({'; '.join(but)})" if but else "")
    return f"refused: {failure.reason}"


def _detail(check: Check) -> str:
    return _safe(f"{check.reason}: {check.detail}" if check.reason else check.detail)


def _safe(text: str) -> str:
    return mask_person_ids("".join(character if character.isprintable() else " " for character in text))


def as_json(
    verdict: Verdict, at: datetime, notes: Iterable[str], steps: AbstractSet[Step] = ALL_STEPS, *, ascii_only: bool = False
) -> str:
    """One JSON object; ``docs/conformance.md`` names its keys. ``ascii_only``: for a stream that can hold nothing else."""
    failure = verdict.failure
    value = {
        "accepted": verdict.accepted,
        "reason": str(failure.reason) if failure else None,
        "detail": mask_person_ids(failure.detail) if failure else "",
        "at": at.isoformat(),
        "steps": [str(step) for step in Step if step in steps],
        "checks": [
            {
                "step": str(check.step) if check.step else None,
                "name": check.name,
                "passed": check.passed,
                "reason": str(check.reason) if check.reason else None,
                "detail": mask_person_ids(check.detail),
            }
            for check in verdict.checks
        ],
        "certificate": _certificate(verdict.certificate) if verdict.certificate is not None else None,
        "provider": verdict.provider.code if verdict.provider else None,
        "path": [_path_entry(der) for der in verdict.path],
        "revocation": [_revocation(status) for status in verdict.revocation],
        "identity": _identity(verdict),
        "notes": [mask_person_ids(note) for note in notes],
    }
    return json.dumps(value, ensure_ascii=ascii_only, indent=2).encode("utf-8", "replace").decode() + "\n"


def _key(certificate: Certificate) -> str:
    return " ".join(part for part in (certificate.algorithm, str(certificate.key_size or ""), certificate.curve) if part)


def _texts(values: Iterable[str] | None) -> list[str] | None:
    return None if values is None else list(values)


_READERS: dict[str, Callable[[Certificate], object]] = {
    "subject": lambda certificate: mask_person_ids(certificate.subject_text),
    "issuer": lambda certificate: mask_person_ids(certificate.issuer_text),
    "serial": lambda certificate: certificate.serial_hex,
    "not_before": lambda certificate: certificate.not_before.isoformat(),
    "not_after": lambda certificate: certificate.not_after.isoformat(),
    "algorithm": lambda certificate: certificate.algorithm,
    "key": _key,
    "key_size": lambda certificate: certificate.key_size,
    "curve": lambda certificate: certificate.curve,
    "spki_sha256": lambda certificate: certificate.spki_sha256,
    "key_usage": lambda certificate: _texts(sorted(certificate.key_usage) if certificate.key_usage is not None else None),
    "extended_key_usage": lambda certificate: _texts(certificate.eku),
    "policies": lambda certificate: _texts(certificate.policies),
    "is_ca": lambda certificate: certificate.is_ca,
}


def _certificate(certificate: Certificate) -> dict[str, Any]:
    """Summary of a certificate; fields that cannot be read are left out."""
    facts: dict[str, Any] = {"sha256": certificate.sha256}
    for name, read in _READERS.items():
        try:
            facts[name] = read(certificate)
        except (Refusal, ValueError):
            continue  # the gate's checks say what is wrong with it
    return facts


def _path_entry(der: bytes) -> dict[str, str]:
    certificate = Certificate.parse(der)
    return {"subject": mask_person_ids(certificate.subject_text), "sha256": certificate.sha256,
            "spki_sha256": certificate.spki_sha256, "not_after": certificate.not_after.isoformat()}  # fmt: skip


def _revocation(status: RevocationStatus) -> dict[str, str | None]:
    def text(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    return {"certificate_sha256": status.certificate_sha256, "source": status.source, "this_update": text(status.this_update),
            "next_update": text(status.next_update), "evidence_sha256": status.evidence_sha256,
            "revoked_at": text(status.revoked_at), "detail": status.detail}  # fmt: skip


def _identity(verdict: Verdict) -> dict[str, str] | None:
    identity = verdict.identity
    if identity is None:
        return None
    return {"lock_id": mask_person_ids(identity.lock_id), "lock_source": identity.lock_source, "holder_kind": identity.holder_kind,
            "holder_masked": identity.holder_masked}  # fmt: skip
