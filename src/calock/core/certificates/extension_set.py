"""What a certificate's extensions say together.

The certificates of one CA differ only in the extensions that hold their own ids, so this is computed once for all of them.

Source: RFC 5280 clause 4.2.
"""

from __future__ import annotations

from calock.core.certificates.certificate import Certificate
from calock.core.der import extensions, reader
from calock.core.der.layout import Extension

KNOWN_EXTENSIONS = frozenset(
    {
        *(f"2.5.29.{last}" for last in (14, 15, 17, 18, 19, 30, 31, 32, 33, 35, 36, 37, 46, 54)),
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
        "1.3.6.1.5.5.7.48.1.5",  # id-pkix-ocsp-nocheck
    }
)
"""Extensions that may be critical: each is processed by us, by OpenSSL or by the revocation step."""

_MUST_NOT_BE_CRITICAL = {"2.5.29.14": "subjectKeyIdentifier", "2.5.29.35": "authorityKeyIdentifier", "1.3.6.1.5.5.7.1.1": "AIA"}
_MUST_BE_CRITICAL = {"2.5.29.30": "nameConstraints", "2.5.29.36": "policyConstraints", "2.5.29.54": "inhibitAnyPolicy"}

_UNUSUAL = frozenset(
    {
        extensions.OID_NAME_CONSTRAINTS,
        "1.3.6.1.5.5.7.1.14",  # proxyCertInfo (RFC 3820)
        "1.3.6.1.5.5.7.1.7",  # IP addresses (RFC 3779)
        "1.3.6.1.5.5.7.1.8",  # autonomous systems (RFC 3779)
        "2.16.840.1.113730.1.1",  # Netscape's certificate type
    }
)
"""Extensions to which OpenSSL gives a meaning of its own in a leaf."""
_MAY_BE_CRITICAL = frozenset(f"2.5.29.{last}" for last in (15, 17, 19, 31, 32, 33, 36, 37, 54))
"""Extensions that OpenSSL accepts as critical, of those not in ``_UNUSUAL``."""

_MOST = 1024


class ExtensionSet:
    """Facts that depend on nothing but the extensions of a certificate, all of which decode."""

    def __init__(self, certificate: Certificate) -> None:
        carried = certificate.extensions
        self.is_ca = certificate.is_ca or "key_cert_sign" in (certificate.key_usage or ())
        """basicConstraints says cA, or keyUsage says keyCertSign."""
        self.names_no_ca = certificate.basic_constraints in (None, (False, None)) and not self.is_ca
        self.unknown_critical = next((item.oid for item in carried if item.critical and item.oid not in KNOWN_EXTENSIONS), "")
        alternative = certificate.by_oid.get(extensions.OID_SUBJECT_ALT_NAME)
        self.critical_alternative = alternative is not None and alternative.critical
        self.strict_fault = _criticality(carried) or _placement(certificate) or _alternative_name(alternative)
        """A demand of RFC 5280 that is not met, checked under ``strict_extensions``; empty = none."""
        self.is_engine_neutral = not _alternative_name(alternative) and not any(
            item.oid in _UNUSUAL or (item.critical and item.oid not in _MAY_BE_CRITICAL) for item in carried
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
        if item.critical and item.oid in _MUST_NOT_BE_CRITICAL:
            return f"{_MUST_NOT_BE_CRITICAL[item.oid]} marked critical"
        if not item.critical and item.oid in _MUST_BE_CRITICAL:
            return f"{_MUST_BE_CRITICAL[item.oid]} not marked critical"
    return ""


def _placement(certificate: Certificate) -> str:
    misplaced = extensions.OID_NAME_CONSTRAINTS in certificate.by_oid and not certificate.is_ca
    return "nameConstraints in a certificate that is no CA's" if misplaced else ""


def _alternative_name(alternative: Extension | None) -> str:
    if alternative is None:
        return ""
    try:
        fault = alternative.read(extensions.alternative_name_fault)
    except reader.DerError as error:
        fault = str(error)
    return f"subjectAltName: {fault}" if fault else ""
