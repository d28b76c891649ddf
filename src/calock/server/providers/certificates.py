"""A CA certificate that somebody brings: read strictly before anything is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from calock.core.certificates.certificate import Certificate, lowest
from calock.core.der.containers import ContainerError, certificates_in
from calock.core.paths.chain import openssl_reads
from calock.core.refusals import Reason, Refusal

MAX_BYTES = 16 * 1024  # CA certificates in the field have 1 to 3 KB


class Use(StrEnum):
    """What a CA's certificate lets its key sign."""

    CERTIFICATES = "certificates"
    CRLS = "CRLs alone"


def use_of(parsed: Certificate) -> Use | None:
    """What the key may sign: certificates (RFC 5280 clauses 4.2.1.3, 4.2.1.9), CRLs and nothing else, or neither.

    A CA that signs its CRLs with a key of their own certifies it for cRLSign; whether that certificate says cA does not matter,
    since without keyCertSign it issues nothing.
    """
    usage = set(parsed.key_usage or ())
    if parsed.version != 3:
        return None
    if parsed.is_ca and "key_cert_sign" in usage:
        return Use.CERTIFICATES
    return Use.CRLS if usage == {"crl_sign"} else None


@dataclass(frozen=True, slots=True)
class CaFile:
    """A CA certificate that passed: what a record keeps of it."""

    der: bytes
    sha256: str
    spki_sha256: str
    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    key: str
    purposes: tuple[str, ...] | None
    """Its extendedKeyUsage (OIDs); None = it has none."""


def _parsed(data: bytes) -> Certificate:
    """The one certificate of a file; of a chain the CA at its lower end, whose chain it is."""
    if len(data) > MAX_BYTES:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, f"larger than {MAX_BYTES} bytes")
    try:
        found = certificates_in(data)
    except ContainerError as error:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, f"the file {error}") from error
    if any(item.settings for item in found):
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "the file carries OpenSSL's own trust settings, which are not applied here")
    parsed = list(dict.fromkeys(Certificate.parse(item.der) for item in found))
    chosen = lowest(parsed)
    if len(chosen) != 1:
        subjects = "; ".join(certificate.subject_text for certificate in parsed)
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, f"the file holds {len(parsed)} certificates that are no one chain: {subjects}")
    return chosen[0]


def read_ca_certificate(data: bytes, *, at: datetime | None, crl_signer: bool = False) -> CaFile:
    """Read one CA certificate, and check that it may stand in the register at ``at`` (None: dates do not matter).

    DER, PEM, PKCS#7 or any of them in bare base64; of a chain the CA at its lower end.
    ``crl_signer``: it is to be a key that signs CRLs alone, rather than a CA.

    Raises:
        Refusal: CA_CERTIFICATE_REFUSED: unparsable, not certified for its use, a key too weak for a CA, or outside its dates.
    """
    try:
        return _checked(_parsed(data), at, Use.CRLS if crl_signer else Use.CERTIFICATES)
    except Refusal as refusal:
        if refusal.reason == Reason.CA_CERTIFICATE_REFUSED:
            raise
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, str(refusal)) from refusal


def _require_use(parsed: Certificate, wanted: Use) -> None:
    found = use_of(parsed)
    if found is wanted:
        return
    if wanted is Use.CRLS:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "its key usage must be cRLSign and nothing else")
    if found is Use.CRLS:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "its key may sign CRLs alone: it can be recognised as a CRL signer only")
    if parsed.version != 3 or not parsed.is_ca:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "not a CA certificate: basicConstraints does not say cA")
    raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "its key usage does not allow to sign certificates")


def _checked(parsed: Certificate, at: datetime | None, use: Use) -> CaFile:
    _require_use(parsed, use)
    if parsed.algorithm not in ("SM2", "RSA", "EC") or parsed.key_size < (2048 if parsed.algorithm == "RSA" else 256):
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, f"key {parsed.algorithm} {parsed.key_size} is too weak for a CA")
    if not openssl_reads(parsed):
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "OpenSSL cannot read it or its key, so no path through it could be judged")
    if at is not None and not parsed.not_before <= at <= parsed.not_after:
        raise Refusal(Reason.CA_CERTIFICATE_REFUSED, "outside its dates")
    return CaFile(
        der=parsed.der,
        sha256=parsed.sha256,
        spki_sha256=parsed.spki_sha256,
        subject=parsed.subject_text[:500],
        issuer=parsed.issuer_text[:500],
        not_before=parsed.not_before,
        not_after=parsed.not_after,
        key=f"{parsed.algorithm} {parsed.key_size}",
        purposes=parsed.eku,
    )


def issued_by(der: bytes, ca_der: bytes) -> bool:
    """Whether names and key ids say that ``ca_der`` issued ``der``. For certificates whose signatures are verified elsewhere."""
    child, parent = Certificate.parse(der), Certificate.parse(ca_der)
    if child.issuer_key != parent.subject_key:
        return False
    wanted, offered = child.authority_key_id, parent.subject_key_id
    return not wanted or not offered or wanted == offered
