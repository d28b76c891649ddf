"""What a certificate's extensions say together.

The certificates of one CA differ only in the extensions that hold their own ids, so this is computed once for all of them.

Source: RFC 5280 clause 4.2.
"""

from __future__ import annotations

from collections.abc import Collection

from calock.core.certificates.certificate import Certificate
from calock.core.der import extensions
from calock.core.der.layout import Extension
from calock.core.der.legacy_encodings import extensions_of

KNOWN_EXTENSIONS = frozenset(
    {
        *(f"2.5.29.{last}" for last in (14, 15, 17, 18, 19, 30, 31, 32, 33, 35, 36, 37, 46, 54)),
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
        "1.3.6.1.5.5.7.48.1.5",  # id-pkix-ocsp-nocheck
    }
)
"""Extensions that may be critical: each is processed by us, by OpenSSL or by the revocation step."""

_NOT_CRITICAL = frozenset({"2.5.29.14", "2.5.29.18", "2.5.29.35", "2.5.29.46", "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1.5"})
"""Extensions not to be marked critical: key identifiers, issuerAltName, freshestCRL, authorityInfoAccess, nocheck."""
_CRITICAL = frozenset({"2.5.29.30", "2.5.29.36", "2.5.29.54"})
"""Extensions that must be critical: nameConstraints, policyConstraints, inhibitAnyPolicy."""

READ_BY_OPENSSL_ALONE = frozenset({"1.3.6.1.5.5.7.1.14", "1.3.6.1.5.5.7.1.7", "1.3.6.1.5.5.7.1.8", "2.16.840.1.113730.1.1"})
"""proxyCertInfo (RFC 3820), address blocks and AS numbers (RFC 3779), Netscape's certificate type.

OpenSSL finds no issuer of a certificate in which one of them is malformed.
"""
_UNUSUAL = frozenset({extensions.OID_NAME_CONSTRAINTS, *READ_BY_OPENSSL_ALONE})
"""Extensions to which OpenSSL gives a meaning of its own in a leaf."""
_MAY_BE_CRITICAL = frozenset(f"2.5.29.{last}" for last in (15, 17, 19, 31, 32, 33, 36, 37, 54))
"""Extensions that OpenSSL accepts as critical, of those not in ``_UNUSUAL``."""

_READ_BY_OPENSSL = frozenset(f"2.5.29.{last}" for last in (14, 15, 17, 31, 35, 37))
"""Extensions that OpenSSL decodes in every certificate of a path, of those not in ``_UNUSUAL``; basicConstraints has one form."""

_MOST = 1024


class ExtensionSet:
    """Facts that depend on nothing but the extensions of a certificate, all of which decode."""

    def __init__(self, certificate: Certificate) -> None:
        carried = certificate.extensions
        self.is_ca = certificate.is_ca or "key_cert_sign" in (certificate.key_usage or ())
        """basicConstraints says cA, or keyUsage says keyCertSign."""
        self.names_no_ca = certificate.basic_constraints in (None, (False, None)) and not self.is_ca
        self.critical_fault = _critical_fault(certificate)
        """A critical extension that is unknown or cannot be read (RFC 5280 clause 4.2); empty = none."""
        alternative = certificate.by_oid.get(extensions.OID_SUBJECT_ALT_NAME)
        self.critical_alternative = alternative is not None and alternative.critical
        self.strict_fault = _criticality(carried) or _placement(certificate) or _alternative_name(alternative)
        """A demand of RFC 5280 that is not met, checked under ``strict_extensions``; empty = none."""
        self.is_engine_neutral = (
            not _alternative_name(alternative)
            and not any(item.oid in _UNUSUAL or (item.critical and item.oid not in _MAY_BE_CRITICAL) for item in carried)
            and _decodes(certificate, _READ_BY_OPENSSL)
        )
        """OpenSSL's path validation has no rule of its own about any of them (:mod:`calock.core.paths.fast_path`)."""
        self.authority = certificate.authority_key
        self.names_authority = extensions.OID_AUTHORITY_KEY_ID in certificate.by_oid


def extension_set_of(certificate: Certificate) -> ExtensionSet:
    """The extension set of a certificate, shared by all certificates with the same extensions apart from individual ids.

    Raises:
        Refusal: CERTIFICATE_EXTENSION; malformed, or one that occurs twice.
    """
    key = tuple([item.oid if item.is_individual else item for item in certificate.extensions])
    known = _kept.get(key)
    if known is not None:
        _ = certificate.subject_key_id  # individual, so decoded each time
        return known
    certificate.require_decodable()
    known = ExtensionSet(certificate)
    if len(_kept) >= _MOST:
        _kept.clear()
    _kept[key] = known
    return known


_kept: dict[tuple[str | Extension, ...], ExtensionSet] = {}


def _criticality(carried: tuple[Extension, ...]) -> str:
    for item in carried:
        if item.critical and item.oid in _NOT_CRITICAL:
            return f"{extensions.extension_name(item.oid)} marked critical"
        if not item.critical and item.oid in _CRITICAL:
            return f"{extensions.extension_name(item.oid)} not marked critical"
    return ""


def _critical_fault(certificate: Certificate) -> str:
    critical = [item.oid for item in certificate.extensions if item.critical]
    unknown = next((oid for oid in critical if oid not in KNOWN_EXTENSIONS), "")
    if unknown:
        return f"unknown critical extension {unknown}"
    unread = [oid for oid in critical if oid not in extensions.USED]
    if unread and not _decodes(certificate, unread):
        return f"a critical extension cannot be read: {', '.join(map(extensions.extension_name, unread))}"
    return ""


def _decodes(certificate: Certificate, oids: Collection[str]) -> bool:
    """Whether ``cryptography`` decodes these of its extensions, too: ours look only at the parts that are used."""
    try:
        return extensions_of(certificate.der, oids) is not None
    except Exception:  # noqa: BLE001 - beside ValueError some ten kinds, not all documented, on hostile octets
        return False


def _placement(certificate: Certificate) -> str:
    if certificate.is_ca:
        return ""
    if extensions.OID_NAME_CONSTRAINTS in certificate.by_oid:
        return "nameConstraints in a certificate that is no CA's"
    constraints = certificate.basic_constraints
    return "a pathLenConstraint beside cA FALSE" if constraints is not None and constraints[1] is not None else ""


def _alternative_name(alternative: Extension | None) -> str:
    fault = alternative.read(extensions.alternative_name_fault) if alternative is not None else ""
    return f"subjectAltName: {fault}" if fault else ""
