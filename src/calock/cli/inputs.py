"""The arguments and files of the ``explain`` commands, read and put together for verification."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from calock.cli import arguments
from calock.cli.certificates import FileCertificate, certificates_in, trust_settings_fault
from calock.core.certificates.certificate import Certificate
from calock.core.decision.inputs import VerificationInputs
from calock.core.der.containers import values_in
from calock.core.policy import ANY_EXTENDED_KEY_USAGE, Policy
from calock.core.refusals import Refusal
from calock.core.register import CaCertificate, ProviderTrust, Register
from calock.core.revocation.evidence import InMemoryEvidence, NoRevocationEvidence
from calock.core.verdict import ALL_STEPS

_ANY_LIFE = 100_000  # days


@dataclass(frozen=True, slots=True)
class GivenInputs:
    """What was given: inputs of the verification, and what to tell about them."""

    inputs: VerificationInputs
    notes: tuple[str, ...]
    evidence: InMemoryEvidence | None
    origins: dict[str, str]
    """Where the CRL or OCSP response with this SHA-256 was found."""

    @property
    def rejected(self) -> Iterator[str]:
        """Notes about revocation data that could not be used, also when other data sufficed."""
        for item in self.evidence.rejected if self.evidence else ():
            yield f"{item.what} {self.origins.get(item.sha256, '')} was not used: {item.reason}: {item.detail}"


def read_inputs(options: argparse.Namespace) -> GivenInputs:
    """Read every file that the options name.

    Raises:
        UsageError: one cannot be used.
    """
    file = getattr(options, "file", None)
    several = (*options.anchors, *options.intermediates, *options.crl, *options.ocsp)
    arguments.require_one_reader((file, options.policy, *several), taken=file is None)
    policy, says_revocation = arguments.policy(options.policy)
    at = options.at or datetime.now(UTC)
    any_evidence = bool(options.crl or options.ocsp)
    policy = _with_revocation(policy or Policy(), says=says_revocation)
    notes: list[str] = []
    anchors = _authorities(options.anchors, "anchor", policy, notes)
    others = _authorities(options.intermediates, "intermediate", policy, notes)
    others = [certificate for certificate in others if certificate not in anchors]
    cas = (*(_ca(certificate, anchor=True) for certificate in anchors), *(_ca(certificate, anchor=False) for certificate in others))
    register = Register([ProviderTrust("given", cas, policy)])
    crls, ocsp = (
        {name: arguments.read_file(name) for name in options.crl},
        {name: arguments.read_file(name) for name in options.ocsp},
    )
    blobs = crls.values(), ocsp.values()
    evidence = InMemoryEvidence.for_register(register, *blobs, at=at) if any_evidence else None
    given = any_evidence or (says_revocation and policy.revocation.mode != "off")
    inputs = VerificationInputs(
        register, at, evidence or NoRevocationEvidence(), steps=options.only or ALL_STEPS, revocation_given=given
    )
    return GivenInputs(inputs, tuple(notes), evidence, {**_origins(crls, b"X509 CRL"), **_origins(ocsp, b"OCSP RESPONSE")})


def _origins(files: dict[str, bytes], label: bytes) -> dict[str, str]:
    found = {}
    for name, blob in files.items():
        parts = values_in(blob, label)
        for number, der in enumerate(parts, 1):
            found[hashlib.sha256(der).hexdigest()] = f"{name}, number {number}" if len(parts) > 1 else name
    return found


def _with_revocation(policy: Policy, *, says: bool) -> Policy:
    """Without revocation rules in the policy, given data count until their own nextUpdate."""
    if says:
        return policy
    as_written = replace(policy.revocation, ocsp_max_age=None, nocheck_max_days=_ANY_LIFE)
    return replace(policy, revocation=as_written)


def _authorities(files: list[str], what: str, policy: Policy, notes: list[str]) -> list[Certificate]:
    """Parsed CA certificates; one that cannot be used is left out with a note, so that nothing is accepted by it."""
    found: dict[bytes, Certificate] = {}
    for item in (item for name in files for item in certificates_in(name)):
        try:
            certificate = Certificate.parse(item.der)
            _ = certificate.spki_sha256, certificate.subject_key, certificate.subject_key_id
        except (Refusal, ValueError) as error:
            notes.append(f"{what} {item.where} was left out: {error}")
            continue
        if what == "anchor":
            fault = trust_settings_fault(item.settings, policy) if item.settings else ""
            if fault:
                notes.append(f"{what} {item.where} was left out: {fault}")
                continue
            notes += _anchor_notes(item, certificate, policy)
        found[certificate.der] = certificate
    return list(found.values())


def _anchor_notes(item: FileCertificate, certificate: Certificate, policy: Policy) -> Iterable[str]:
    try:
        eku = certificate.eku
    except Refusal:
        eku = None
    if eku is not None and not set(eku) & {*policy.ekus, ANY_EXTENDED_KEY_USAGE}:
        yield f"anchor {item.where} is for {', '.join(eku)} alone (extendedKeyUsage); that is not looked at in an anchor"


def _ca(certificate: Certificate, *, anchor: bool) -> CaCertificate:
    return CaCertificate(certificate.der, certificate.spki_sha256, anchor=anchor)
