"""The gate: whether a certificate is acceptable in itself, before its path is looked for.

Source: RFC 5280 clause 4.1 and 4.2 for form; the provider's :class:`Policy` for keys and signature algorithms.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm

from calock.core.certificates.certificate import Certificate
from calock.core.certificates.extension_set import ExtensionSet, extension_set_of
from calock.core.certificates.keys import Fault, key_fault
from calock.core.der.layout import NO_PARAMETERS
from calock.core.policy import Policy, by_rule
from calock.core.refusals import Reason, Refusal
from calock.core.verdict import Check, Step, failed, passed

_SIGNATURES = {
    "SM2": frozenset({"1.2.156.10197.1.501"}),
    "RSA": frozenset({f"1.2.840.113549.1.1.{last}" for last in (10, 11, 12, 13)}),
    "EC": frozenset({f"1.2.840.10045.4.3.{last}" for last in (2, 3, 4)}),
}
SHA1_SIGNATURES = frozenset({"1.2.840.113549.1.1.5", "1.2.840.10045.4.1"})
MAX_SERIAL_BITS = 159
"""20 octets of DER with the sign (RFC 5280 clause 4.1.2.2)."""
OID_PSS = "1.2.840.113549.1.1.10"

_NO_NAME = b"\x30\x00"


def check_gate(certificate: Certificate, policy: Policy, at: datetime) -> list[Check]:
    """Check the end-entity certificate. Every check runs, also after one has failed."""
    checks = []
    for judge, good in _GATE:
        fault = _guarded(judge, certificate, policy, at)
        checks.append(good if fault is None else failed(Step.GATE, good.name, *fault))
    return checks


def form_fault(certificate: Certificate, policy: Policy, at: datetime, *, strict: bool = True) -> Fault | None:
    """What is wrong with the form of a certificate other than a holder's: version, serial, dates, algorithm, extensions.

    ``strict`` False: without what :attr:`Policy.strict_extensions` demands.
    """
    for name, judge in _FORM.items():
        fault = _guarded(judge if strict or name != "extensions" else _known_extensions, certificate, policy, at)
        if fault is not None:
            return fault
    return None


def ca_fault(certificate: Certificate, policy: Policy, at: datetime, *, anchor: bool) -> Fault | None:
    """What is wrong with a CA certificate on a path. An anchor is trusted by its key, so its own encoding is not checked."""
    return (None if anchor else form_fault(certificate, policy, at)) or _guarded(key_fault, certificate, policy, at)


_Judge = Callable[[Certificate, Policy, datetime], Fault | None]


def _guarded(judge: _Judge, certificate: Certificate, policy: Policy, at: datetime) -> Fault | None:
    try:
        return judge(certificate, policy, at)
    except Refusal as refusal:
        return refusal.reason, refusal.detail


def _version(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.version != 3:
        return Reason.CERTIFICATE_VERSION, f"version {certificate.version}; 3 is wanted"
    return None


def _serial(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.serial <= 0:
        return Reason.CERTIFICATE_SERIAL, "serial number is not positive: a CA's certificates are told apart by unsigned numbers"
    if certificate.serial.bit_length() > MAX_SERIAL_BITS:
        return Reason.CERTIFICATE_SERIAL, "serial number of more than 20 octets, its sign octet included"
    return None


def _validity(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    if certificate.not_after < certificate.not_before:
        return Reason.CERTIFICATE_VALIDITY_ORDER, "notAfter lies before notBefore"
    return None


def _signature_algorithm(certificate: Certificate, policy: Policy, at: datetime) -> Fault | None:
    oid = certificate.signature_algorithm
    if not certificate.signature_algorithms_agree:
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "the signature algorithm inside differs from the one outside"
    kind = next((kind for kind, oids in _SIGNATURES.items() if oid in oids), "")
    if kind == "SM2" and certificate.signature_parameters not in NO_PARAMETERS:  # of the others cryptography reads none else
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "SM2 signature with parameters"
    if kind in policy.algorithms:
        return _pss(certificate) if oid == OID_PSS else None
    if kind:
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, by_rule(f"signed by a key of kind {kind} ({oid})", "algorithms")
    if oid in SHA1_SIGNATURES:
        return (
            None
            if policy.allows_legacy("SHA1", at)
            else (Reason.CERTIFICATE_SIGNATURE_ALGORITHM, by_rule("signed over SHA-1", "legacy"))
        )
    return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, f"signature algorithm {oid}"


def _pss(certificate: Certificate) -> Fault | None:
    try:
        digest = certificate.parsed.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        digest = None
    if digest is None or digest.name not in ("sha256", "sha384", "sha512"):
        return Reason.CERTIFICATE_SIGNATURE_ALGORITHM, "RSA-PSS over another digest than SHA-2"
    return None


def _known_extensions(certificate: Certificate, _policy: Policy, _at: datetime) -> Fault | None:
    fault = extension_set_of(certificate).critical_fault
    return (Reason.CERTIFICATE_EXTENSION, fault) if fault else None


def _extensions(certificate: Certificate, policy: Policy, _at: datetime) -> Fault | None:
    carried = extension_set_of(certificate)
    if carried.critical_fault:
        return Reason.CERTIFICATE_EXTENSION, carried.critical_fault
    fault = _strict(certificate, carried) if policy.strict_extensions else ""
    return (Reason.CERTIFICATE_EXTENSION, by_rule(fault, "strict_extensions")) if fault else None


def _strict(certificate: Certificate, carried: ExtensionSet) -> str:
    """A demand of RFC 5280 clause 4.2 that CAs sometimes do not meet; empty = all are met."""
    if carried.strict_fault:
        return carried.strict_fault
    if not carried.authority.key_id and not certificate.self_issued:
        return "no authority key identifier" + (" that names the key (keyIdentifier)" if carried.names_authority else "")
    if certificate.subject_der == _NO_NAME and (carried.is_ca or not carried.critical_alternative):
        return "empty subject without a critical subjectAltName"
    return ""


_FORM: dict[str, _Judge] = {
    "version": _version,
    "serial number": _serial,
    "validity order": _validity,
    "signature algorithm": _signature_algorithm,
    "extensions": _extensions,
}
_GATE = tuple((judge, passed(Step.GATE, name)) for name, judge in {**_FORM, "key": key_fault}.items())
