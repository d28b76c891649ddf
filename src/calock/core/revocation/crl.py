"""Reading and verifying one CRL without its entries.

The entries are the only unbounded part, and are read in place (crl_entries.py). The rest is parsed by ``cryptography``, from a copy
without entries, so that names and times go through the same strict parser as in certificates; extensions are read by our decoders.

Sources: RFC 5280 clauses 5 and 6.3; GM/T 0015 (the same structure, signed SM2-with-SM3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509

from calock.core.certificates.certificate import Certificate
from calock.core.der import extensions, reader
from calock.core.der.containers import form_fault
from calock.core.der.layout import MAX_EXTENSIONS, Extension, read_extension
from calock.core.der.legacy_encodings import parse_error_text, readable_copy
from calock.core.policy import Policy
from calock.core.refusals import Refusal
from calock.core.revocation.crl_scope import FULL_SCOPE, CrlScope, scope_of
from calock.core.revocation.signed_data import SignatureRejectedError, check_signature, revocation_untrusted

MAX_SIZE = 64 * 1024 * 1024
"""Octets of one CRL. A million entries take about 40 MB."""

_NUMBER, _DELTA, _AUTHORITY_KEY, _SCOPE = "2.5.29.20", "2.5.29.27", "2.5.29.35", "2.5.29.28"
_HANDLED = frozenset({_NUMBER, _DELTA, _AUTHORITY_KEY, _SCOPE, "2.5.29.46", "2.5.29.18", "1.3.6.1.5.5.7.1.1"})
"""CRL extensions that may be critical (the last three, freshestCRL, issuerAltName and authorityInfoAccess, change nothing here)."""
_CRL_EXTENSIONS = 0xA0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CrlHeader:
    """The fields of a CertificateList except revokedCertificates. Nothing is verified yet."""

    issuer_der: bytes
    this_update: datetime
    next_update: datetime
    number: int | None
    base_number: int | None
    """Of a delta CRL: the complete CRL from which it starts."""
    scope: CrlScope
    authority_key_id: str
    """Lower-case hex; empty when there is none."""
    signature_algorithm: bytes
    signature: bytes = field(repr=False)
    tbs: tuple[int, int]
    entries: tuple[int, int]
    sha256: str

    def verify(self, data: reader.Bytes, signer: Certificate, *, policy: Policy, at: datetime) -> None:
        """Check that ``signer`` may sign CRLs and signed this one.

        Raises:
            Refusal: REVOCATION_UNTRUSTED.
        """
        if not may_sign_crls(signer):
            raise revocation_untrusted("the signer's certificate does not allow CRL signing (cRLSign)")
        if not signer.not_before <= at <= signer.not_after:
            raise revocation_untrusted("the signer's certificate is not valid at this time")
        try:
            signed = bytes(data[slice(*self.tbs)])
            check_signature(signer.spki_der, self.signature_algorithm, signed, self.signature, policy=policy, at=at)
        except SignatureRejectedError as error:
            raise revocation_untrusted(f"CRL signature: {error}") from error


def may_sign_crls(certificate: Certificate) -> bool:
    """Whether its key usage allows to sign CRLs, or is absent (RFC 5280 clause 6.3.3 f)."""
    try:
        return certificate.key_usage is None or "crl_sign" in certificate.key_usage
    except Refusal:
        return False


def read_crl(data: reader.Bytes) -> CrlHeader:
    """Read a CRL (DER) without its entries.

    Raises:
        Refusal: REVOCATION_UNTRUSTED; malformed, too large, without nextUpdate, indirect, or an unknown critical extension.
    """
    if len(data) > MAX_SIZE:
        raise revocation_untrusted(f"CRL of {len(data)} bytes; at most {MAX_SIZE}")
    other = form_fault(data)
    if other:
        raise revocation_untrusted(f"not a CRL: {other}")
    try:
        layout = _layout(data)
    except reader.DerError as error:
        raise revocation_untrusted(f"not a CRL: {error}") from error
    parsed = _parse_stub(layout.stub)
    if parsed.next_update_utc is None:
        raise revocation_untrusted("CRL without nextUpdate")
    if parsed.next_update_utc < parsed.last_update_utc:
        raise revocation_untrusted("CRL whose nextUpdate is before its thisUpdate")
    number, base, key_id, scope = _extensions(layout)
    return CrlHeader(
        issuer_der=layout.issuer,
        this_update=parsed.last_update_utc,
        next_update=parsed.next_update_utc,
        number=number,
        base_number=base,
        scope=scope,
        authority_key_id=key_id,
        signature_algorithm=layout.algorithm,
        signature=layout.signature,
        tbs=layout.tbs,
        entries=layout.entries,
        sha256=hashlib.sha256(data).hexdigest(),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    stub: bytes
    issuer: bytes
    extensions: tuple[Extension, ...]
    algorithm: bytes
    signature: bytes
    tbs: tuple[int, int]
    entries: tuple[int, int]


def _layout(data: reader.Bytes) -> _Layout:
    """Find the parts, and rebuild the CRL without revokedCertificates (the one SEQUENCE after the times) and without extensions."""
    start, end = reader.whole(data)
    parts = reader.children(data, start, end, 3)
    if [tag for tag, *_ in parts] != [reader.SEQUENCE, reader.SEQUENCE, reader.BIT_STRING]:
        raise reader.DerError("no CertificateList")
    (_, tbs_position, tbs_start, tbs_end), (_, algorithm_position, _, algorithm_end), (_, _, bits_start, bits_end) = parts
    fields = reader.children(data, tbs_start, tbs_end, 8)
    tags = [tag for tag, *_ in fields]
    times = [index for index, tag in enumerate(tags) if tag in (reader.UTC_TIME, reader.GENERALIZED_TIME)]
    if len(times) not in (1, 2) or times[0] < 2:
        raise reader.DerError("its fields are not those of a TBSCertList")
    entries = (0, 0)
    kept = fields
    after = times[-1] + 1
    if len(fields) > after and tags[after] == reader.SEQUENCE:
        _, _, *span = fields[after]
        entries = (span[0], span[1])
        kept = [*fields[:after], *fields[after + 1 :]]
    algorithm = bytes(data[algorithm_position:algorithm_end])
    _, inner, _, inner_end = fields[times[0] - 2]
    if bytes(data[inner:inner_end]) != algorithm:
        raise reader.DerError("inner and outer signature algorithm differ")
    if bits_end - bits_start < 2 or data[bits_start] != 0:
        raise reader.DerError("signature bits")
    _, issuer, _, issuer_end = fields[times[0] - 1]
    found = _raw_extensions(data, kept[-1])
    if kept[-1][0] == _CRL_EXTENSIONS:
        kept = kept[:-1]
    tbs = reader.encode(reader.SEQUENCE, b"".join(bytes(data[position:stop]) for _, position, _, stop in kept))
    bits = bytes(data[bits_start + 1 : bits_end])
    stub = reader.encode(reader.SEQUENCE, tbs + algorithm + reader.encode(reader.BIT_STRING, b"\0" + bits))
    if len(stub) > 64 * 1024:
        raise reader.DerError("header too large")
    return _Layout(stub, bytes(data[issuer:issuer_end]), found, algorithm, bits, (tbs_position, tbs_end), entries)


def _raw_extensions(data: reader.Bytes, last: tuple[int, int, int, int]) -> tuple[Extension, ...]:
    """crlExtensions, the last field of a TBSCertList when there are any."""
    tag, _, first, stop = last
    if tag != _CRL_EXTENSIONS:
        return ()
    start, end = reader.only(data, first, stop, reader.SEQUENCE)
    return tuple(
        read_extension(bytes(data[begin:after])) for _, begin, _, after in reader.children(data, start, end, MAX_EXTENSIONS)
    )


def _parse_stub(stub: bytes) -> x509.CertificateRevocationList:
    try:
        parsed = _loaded(stub)
        _ = parsed.last_update_utc, parsed.next_update_utc
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise revocation_untrusted(f"not a CRL: {parse_error_text(error)[:120]}") from error
    return parsed


def _loaded(stub: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_der_x509_crl(stub)
    except ValueError:
        better = readable_copy(stub)
        if better is None:
            raise
        return x509.load_der_x509_crl(better)


def _extensions(layout: _Layout) -> tuple[int | None, int | None, str, CrlScope]:
    """(CRLNumber, BaseCRLNumber, key identifier, scope). Other extensions may hold anything unless they are critical."""
    by_oid = {item.oid: item for item in layout.extensions}
    if len(by_oid) != len(layout.extensions):
        raise revocation_untrusted("a CRL extension occurs twice")
    for item in layout.extensions:
        if item.critical and item.oid not in _HANDLED:
            raise revocation_untrusted(f"unknown critical CRL extension {item.oid}")
    number = _decoded(by_oid.get(_NUMBER), extensions.number)
    base = _decoded(by_oid.get(_DELTA), extensions.number)
    key = _decoded(by_oid.get(_AUTHORITY_KEY), extensions.authority_key) or extensions.NO_AUTHORITY_KEY
    scope = _decoded(by_oid.get(_SCOPE), lambda value: scope_of(value, layout.issuer)) or FULL_SCOPE
    if scope.indirect:
        raise revocation_untrusted("indirect CRL")
    if base is not None and number is None:
        raise revocation_untrusted("delta CRL without a number")
    return number, base, key.key_id, scope


def _decoded(extension: Extension | None, decode: Callable[[bytes], T]) -> T | None:
    if extension is None:
        return None
    try:
        return decode(extension.value)
    except (reader.DerError, Refusal) as error:
        raise revocation_untrusted(f"{extensions.extension_name(extension.oid)} cannot be read: {error}") from error
