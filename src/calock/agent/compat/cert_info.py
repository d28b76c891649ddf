"""``SOF_GetCertInfo``: the items of a certificate under the two numberings that pages use.

Sources: GM/T 0006 clause 6.3 (SGD_CERT_*, SGD_EXT_*); the item numbers of the XTX middleware family, as its pages name them.
The same function has different numbers in both: which one a page means follows from the class id it sends.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal

from calock.core.certificates.certificate import Certificate
from calock.core.der import names
from calock.core.der.strings import first_text

Numbering = Literal["gm", "xtx"]
Item = Callable[[Certificate], str]

_CN, _O, _OU, _C, _L, _ST, _EMAIL = (
    "2.5.4.3", "2.5.4.10", "2.5.4.11", "2.5.4.6", "2.5.4.7", "2.5.4.8", "1.2.840.113549.1.9.1"
)  # fmt: skip


def _subject(oid: str) -> Item:
    return lambda certificate: names.last(certificate.subject_attributes, oid)


def _issuer(oid: str) -> Item:
    return lambda certificate: names.last(certificate.issuer_attributes, oid)


def _moment(value: datetime) -> str:
    return value.strftime("%Y%m%d%H%M%SZ")


def _plain_moment(value: datetime) -> str:
    return value.strftime("%Y%m%d%H%M%S")


def _public_key(certificate: Certificate) -> str:
    return base64.b64encode(certificate.spki_der).decode()


def _serial(certificate: Certificate) -> str:
    text = certificate.serial_hex
    return text.upper().zfill(len(text) + len(text) % 2)


def _extension(oid: str) -> Item:
    return lambda certificate: (certificate.value_of(oid) or b"").hex()


_GM: Final[dict[int, Item]] = {
    0x01: lambda certificate: f"V{certificate.version}",
    0x02: _serial,
    0x05: lambda certificate: certificate.issuer_text,
    0x06: lambda certificate: f"{_moment(certificate.not_before)}-{_moment(certificate.not_after)}",
    0x07: lambda certificate: certificate.subject_text,
    0x08: _public_key,
    0x11: lambda certificate: certificate.authority_key_id,
    0x12: lambda certificate: certificate.subject_key_id,
    0x13: lambda certificate: ",".join(sorted(certificate.key_usage or ())),
    0x15: lambda certificate: ",".join(certificate.policies or ()),
    0x17: lambda certificate: "CA" if certificate.is_ca else "",
    0x19: lambda certificate: ",".join(certificate.eku or ()),
    0x1A: _extension("2.5.29.31"),
    0x21: _issuer(_CN),
    0x22: _issuer(_O),
    0x23: _issuer(_OU),
    0x31: _subject(_CN),
    0x32: _subject(_O),
    0x33: _subject(_OU),
    0x34: _subject(_EMAIL),
    0x35: lambda certificate: _moment(certificate.not_before),
    0x36: lambda certificate: _moment(certificate.not_after),
}

_XTX: Final[dict[int, Item]] = {
    1: lambda certificate: f"V{certificate.version}",
    2: _serial,
    3: lambda certificate: certificate.algorithm,
    **dict(zip(range(4, 11), map(_issuer, (_C, _O, _OU, _ST, _CN, _L, _EMAIL)), strict=True)),
    11: lambda certificate: _plain_moment(certificate.not_before),
    12: lambda certificate: _plain_moment(certificate.not_after),
    **dict(zip(range(13, 20), map(_subject, (_C, _O, _OU, _ST, _CN, _L, _EMAIL)), strict=True)),
    20: _public_key,
    33: lambda certificate: certificate.subject_text,
    34: lambda certificate: certificate.issuer_text,
}


def item(certificate: Certificate, number: int, numbering: Numbering) -> str | None:
    """Return item ``number`` as text, empty when the certificate has none; None when the numbering knows no such item.

    Raises:
        Refusal: CERTIFICATE_EXTENSION, CERTIFICATE_UNPARSABLE: the item is there but malformed.
    """
    read = (_GM if numbering == "gm" else _XTX).get(number)
    return None if read is None else read(certificate)


def by_oid(certificate: Certificate, oid: str) -> str:
    """Text of a private extension, or of a subject attribute, by its dotted OID; empty when absent or no text."""
    value = certificate.value_of(oid)
    if value is not None:
        return names.shown(first_text(value) or "")
    return names.last(certificate.subject_attributes, oid)
