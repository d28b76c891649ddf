"""Certificates in files: PEM with any number of blocks, or DER; and a description of files that hold none."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from calock.cli.arguments import UsageError, read_file

_PEM = re.compile(rb"-----BEGIN (?P<label>(?:X509 |TRUSTED )?CERTIFICATE)-----(?P<body>[^-]*)-----END (?P=label)-----")
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
_SEQUENCE = b"\x30"
_OTHERS = {
    bytes.fromhex("06092a864886f70d0107"): "a PKCS#7 container",
    bytes.fromhex("02010330"): "a PKCS#12 container",
    bytes.fromhex("02010030"): "a private key",
    bytes.fromhex("02010002"): "a private key",
    bytes.fromhex("02010104"): "a private key",
}
"""Other kinds of DER files, by the octets with which their contents begin. No certificate begins so, also no damaged one."""


@dataclass(frozen=True, slots=True)
class FileCertificate:
    """One certificate of a file, not parsed yet."""

    der: bytes
    where: str


def certificates_in(name: str) -> list[FileCertificate]:
    """Every certificate in a file, at least one.

    A file that begins with a DER SEQUENCE is one DER value, also when PEM text occurs inside it.

    Raises:
        UsageError: the file cannot be read, or holds nothing that looks like a certificate.
    """
    data = read_file(name)
    if data[:1] == _SEQUENCE:
        other = next((kind for begin, kind in _OTHERS.items() if data[_header(data) :].startswith(begin)), None)
        if other is not None:
            raise UsageError(f"{name} is {other}, not a certificate (PEM or DER is wanted)")
        return [FileCertificate(data, name)]
    blocks = [_decoded(match["body"], trusted=match["label"].startswith(b"TRUSTED")) for match in _PEM.finditer(data)]
    if not blocks:
        raise UsageError(f"{name} {_instead(data)} (PEM or DER is wanted)")
    return [FileCertificate(der, f"{name}, certificate {n}" if len(blocks) > 1 else name) for n, der in enumerate(blocks, 1)]


def _header(data: bytes) -> int:
    """Octets before the contents of the DER value that begins here."""
    return 2 + (data[1] & 0x7F if data[1:2] and data[1] & 0x80 else 0)


def _instead(data: bytes) -> str:
    if not data:
        return "is empty"
    label = _BEGIN.search(data)
    if label is None:
        return "holds no certificate"
    if label[1].endswith(b"CERTIFICATE"):
        return "holds a certificate without its end"
    return f"holds {label[1].decode()}, not a certificate"


def _decoded(body: bytes, *, trusted: bool) -> bytes:
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""  # judged, and refused, as an unparsable certificate
    if trusted and der[:1] == _SEQUENCE and der[1:2] == b"\x82":  # OpenSSL appends its own settings to the certificate
        return der[: 4 + int.from_bytes(der[2:4], "big")]
    return der
