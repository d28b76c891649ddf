"""Two encodings that real identity cards carry, that ``cryptography`` refuses, and that cannot be read in two ways.

Both are on Finnish cards (DVV) that other Web eID validators accept: NULL parameters beside an ECDSA signature algorithm (RFC
5758 clause 3.2 wants them absent) and an explicitly written ``cA FALSE`` (X.690 clause 11.5 leaves a DEFAULT out). What is returned
here is only for *reading* fields: signatures and fingerprints are always taken over the original bytes.
"""

from __future__ import annotations

import warnings

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from calock.core.der import reader

warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
# Old encodings, of which it warns, are judged by the gate under their own names.

_ECDSA_NULL = {
    bytes.fromhex(f"300c06082a8648ce3d0403{digest}0500"): bytes.fromhex(f"300a06082a8648ce3d0403{digest}")
    for digest in ("02", "03", "04")
}
_BASIC_CONSTRAINTS = bytes.fromhex("0603551d13")
_WRITTEN_FALSE = bytes.fromhex("04053003010100")
_LEFT_OUT = bytes.fromhex("04023000")
_EXTENSIONS = 0xA3


def load(der: bytes) -> x509.Certificate:
    """Parse a certificate.

    Raises:
        ValueError: not DER, or not a certificate.
    """
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        better = readable_form(der)
        if better is None:
            raise
        return x509.load_der_x509_certificate(better)


def parsed_extensions(der: bytes, parsed: x509.Certificate) -> x509.Extensions:
    """Every known extension of ``parsed``, whose DER is ``der``.

    Raises:
        ValueError: a malformed extension.
    """
    try:
        return parsed.extensions
    except ValueError:
        better = readable_form(der)
        if better is None:
            raise
        return x509.load_der_x509_certificate(better).extensions


def readable_form(der: bytes) -> bytes | None:
    """The certificate with those encodings corrected; None when it has neither, or is no certificate."""
    try:
        start, stop = reader.whole(der)
        tbs, *rest = _elements(der, start, stop)
        start, stop = reader.whole(tbs)
        fields = [_repaired(element) for element in _elements(tbs, start, stop)]
    except (reader.DerError, ValueError):
        return None
    rest = [_repaired(element) for element in rest]
    better = reader.encode(reader.SEQUENCE, reader.encode(reader.SEQUENCE, b"".join(fields)) + b"".join(rest))
    return better if better != der else None


def _elements(data: bytes, start: int, stop: int) -> list[bytes]:
    return [data[begin:end] for _, begin, _, end in reader.children(data, start, stop)]


def _repaired(element: bytes) -> bytes:
    if element[0] != _EXTENSIONS:
        return _ECDSA_NULL.get(element, element)
    start, stop = reader.whole(element, _EXTENSIONS)
    start, stop = reader.only(element, start, stop, reader.SEQUENCE)
    extensions = [_repaired_extension(extension) for extension in _elements(element, start, stop)]
    return reader.encode(_EXTENSIONS, reader.encode(reader.SEQUENCE, b"".join(extensions)))


def _repaired_extension(extension: bytes) -> bytes:
    start, stop = reader.whole(extension)
    body = extension[start:stop]
    if body.startswith(_BASIC_CONSTRAINTS) and body.endswith(_WRITTEN_FALSE):
        return reader.encode(reader.SEQUENCE, body.removesuffix(_WRITTEN_FALSE) + _LEFT_OUT)
    return extension
