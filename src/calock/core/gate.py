"""The gate: whether a certificate is acceptable in itself, before anyone is asked to trust it.

Source: RFC 5280 clause 4.1 and 4.2 for form; the provider's :class:`Policy` for keys and signature algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm

from calock.core.certificate import Certificate
from calock.core.keys import Fault, key_fault
from calock.core.policy import Policy
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Check, Step, failed, passed

_SIGNATURES = {
    "SM2": frozenset({"1.2.156.10197.1.501"}),
    "RSA": frozenset({f"1.2.840.113549.1.1.{last}" for last in (10, 11, 12, 13)}),
    "EC": frozenset({f"1.2.840.10045.4.3.{last}" for last in (2, 3, 4)}),
}
SHA1_SIGNATURES = frozenset({"1.2.840.113549.1.1.5", "1.2.840.10045.4.1"})
OID_PSS = "1.2.840.113549.1.1.10"

KNOWN_EXTENSIONS = frozenset(
    {
        *(f"2.5.29.{last}" for last in (14, 15, 17, 18, 19, 30, 31, 32, 33, 35, 36, 37, 46, 54)),
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
        "1.3.6.1.5.5.7.48.1.5",  # id-pkix-ocsp-nocheck
    }
)
"""What may be marked critical: everything here is either judged by us, by the path engine, or by the revocation step."""

_MUST_NOT_BE_CRITICAL = {"2.5.29.14": "subjectKeyIdentifier", "2.5.29.35": "authorityKeyIdentifier", "1.3.6.1.5.5.7.1.1": "AIA"}
_MUST_BE_CRITICAL = {"2.5.29.30": "nameConstraints", "2.5.29.36": "policyConstraints", "2.5.29.54": "inhibitAnyPolicy"}


def check_gate(certificate: Certificate, policy: Policy, at: datetime) -> list[Check]:
    """Judge a holder's certificate. Every check runs, whatever the others say."""
    checks = []
    for name, judge in (*_FORM, ("key", key_fault), ("holder, not a CA", _is_ca)):
        fault = _guarded(judge, certificate, policy, at)
        checks.append(passed(Step.GATE, name) if fault is None else failed(Step.GATE, name, *fault))
    return checks


def ca_fault(certificate: Certificate, policy: Policy, at: datetime, *, anchor: bool) -> Fault | None:
    """What is wrong with a CA certificate on a path. An anchor is trusted by its key: its own encoding is not judged."""
    for _, check in () if anchor else _FORM:
        fault = _guarded(check, certificate, policy, at)
        if fault is not None:
            return fault
    return _guarded(key_fault, certificate, policy, at)


_Judge = Callable[[Certificate, Policy, datetime], Fault | None]


def _guarded(check: _Judge, certificate: Certificate, policy: Policy, at: datetime) -> Fault | None:
    try:
        return check(certificate, policy, at)
    except Refusal as refusal:
        return refusal.reason, refusal.detail


def _version(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.version != 3:
        return Reason.CERTIFICATE_VERSION, f"version {certificate.version}; 3 is wanted"
    return None


def _serial(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.serial <= 0:
        return Reason.CERTIFICATE_SERIAL, "serial number is not positive"
    if certificate.serial.bit_length() > 159:
        return Reason.CERTIFICATE_SERIAL, "serial number of more than 20 octets"
    return None


def _validity(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.not_after < certificate.not_before:
        return Reason.CERTIFICATE_VALIDITY_ORDER, "notAfter lies before notBefore"
    return None


def _signature_algorithm(certificate: Certificate, policy: Policy, at: datetime) -> Fault | None:
    oid = certificate.signature_algorithm
    if not certificate.signature_algorithms_agree:
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "the signature algorithm inside differs from the one outside"
    if any(oid in allowed for kind, allowed in _SIGNATURES.items() if kind in policy.algorithms):
        return _pss(certificate) if oid == OID_PSS else None
    if oid in SHA1_SIGNATURES:
        return None if policy.allows_legacy("SHA1", at) else (Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "signed over SHA-1")
    return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, f"signature algorithm {oid}"


def _pss(certificate: Certificate) -> Fault | None:
    try:
        digest = certificate.parsed.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        digest = None
    if digest is None or digest.name not in ("sha256", "sha384", "sha512"):
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "RSA-PSS over another digest than SHA-2"
    return None


def _extensions(certificate: Certificate, policy: Policy, _at: datetime) -> Fault | None:
    oids = [extension.oid for extension in certificate.extensions]
    if len(set(oids)) != len(oids):
        return Reason.CERTIFICATE_EXTENSION, "an extension occurs twice"
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in KNOWN_EXTENSIONS:
            return Reason.CERTIFICATE_EXTENSION, f"unknown critical extension {extension.oid}"
    return _decodable(certificate) or (_strict(certificate) if policy.strict_extensions else None)


def _decodable(certificate: Certificate) -> Fault | None:
    """Every known extension decodes: by our readers where they decide, by ``cryptography`` for the rest."""
    for _ in (certificate.basic_constraints, certificate.key_usage, certificate.eku, certificate.policies,
              certificate.subject_key_id, certificate.authority_key_id):  # fmt: skip
        pass  # reading is the check
    try:
        certificate.parse_extensions()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        return Reason.CERTIFICATE_EXTENSION, f"malformed extension: {str(error)[:120]}"
    return None


def _strict(certificate: Certificate) -> Fault | None:
    """What RFC 5280 clause 4.2 demands of CAs and real ones sometimes miss."""
    for extension in certificate.extensions:
        if extension.critical and extension.oid in _MUST_NOT_BE_CRITICAL:
            return Reason.CERTIFICATE_EXTENSION, f"{_MUST_NOT_BE_CRITICAL[extension.oid]} marked critical"
        if not extension.critical and extension.oid in _MUST_BE_CRITICAL:
            return Reason.CERTIFICATE_EXTENSION, f"{_MUST_BE_CRITICAL[extension.oid]} not marked critical"
    if not certificate.authority_key_id and not certificate.self_issued:
        return Reason.CERTIFICATE_EXTENSION, "no authority key identifier"
    return None


def _is_ca(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.is_ca or "key_cert_sign" in (certificate.key_usage or ()):
        return Reason.CERTIFICATE_IS_CA, "a CA certificate cannot be a holder's"
    return None


_FORM: tuple[tuple[str, _Judge], ...] = (
    ("version", _version),
    ("serial number", _serial),
    ("validity order", _validity),
    ("signature algorithm", _signature_algorithm),
    ("extensions", _extensions),
)
