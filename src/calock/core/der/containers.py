"""Certificates and other DER values in the files in which CAs hand them out.

Read are DER, PEM with any number of blocks and any text around them, PKCS#7 that holds certificates or CRLs alone (``.p7b``: RFC
2315 clause 9, GM/T 0010; DER or BER, also as PEM), and any of these as bare base64 or hexadecimal; text also in UTF-16, and as it
is copied out of JSON, XML or a page. White space around a file's value is the file's; any other octet behind it stays with the
value, whose reader refuses it. A file that begins with a SEQUENCE is one value, also when PEM text occurs inside it: its author
chooses its contents.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import NamedTuple

from calock.core.der import reader

_SEQUENCE = b"\x30"
_WHITE_SPACE = b" \t\r\n"
_PEM = re.compile(rb"-----BEGIN (?P<label>[A-Z0-9 #]{1,40})-----(?P<body>[^-]*)-----END (?P=label)-----")
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
_CERTIFICATE_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"})
_PKCS7_LABELS = frozenset({b"PKCS7", b"PKCS #7 SIGNED DATA", b"CMS", b"CERTIFICATE CHAIN"})
_BARE = re.compile(rb"[A-Za-z0-9+/=\s]+")
_HEX = re.compile(rb"30[0-9A-Fa-f:\s]+")
_PKCS7 = bytes.fromhex("06092a864886f70d0107")
_GM_PKCS7 = bytes.fromhex("060a2a811ccf5506010402")
_OTHERS = {
    _PKCS7: "a PKCS#7 container",
    bytes.fromhex("301306072a8648ce3d0201"): "a public key",
    bytes.fromhex("305906072a8648ce3d0201"): "a public key",
    bytes.fromhex("300d06092a864886f70d0101010500"): "a public key",
    bytes.fromhex("0a0100a0"): "an OCSP response",
    bytes.fromhex("02010330"): "a PKCS#12 container",
    bytes.fromhex("02010030"): "a private key",
    bytes.fromhex("02010002"): "a private key",
    bytes.fromhex("02010104"): "a private key",
}
"""Other kinds of DER files, by the octets with which their contents begin. No certificate begins so, also no damaged one."""
MAX_CERTIFICATES = 256
_MEANT = {
    **dict.fromkeys((b"\\n", b"\\r", b"&#13;", b"&#xD;"), b""),
    **dict.fromkeys((character.encode() for character in "\u00a0\u200b\u200c\u200d\u200e\u200f\u3000\ufeff"), b""),
    b"\\/": b"/", b"\\u002B": b"+", b"\\u002b": b"+", b"\\u003D": b"=", b"\\u003d": b"=",
}  # fmt: skip
"""What JSON and XML write for line ends and letters; blanks and marks that no one sees, as pages have them."""
_BLANKS = b" \t\r\n\v\f"
_AROUND = _WHITE_SPACE + b"\"'\0"
"""What stands around base64 that was copied out of a program."""
_ATTRIBUTES = 0xA0
_CONTENT, _CERTIFICATES, _CRLS = 0xA0, 0xA0, 0xA1
"""Tags in ContentInfo and SignedData (RFC 2315 clauses 7 and 9.1)."""
_HEAD = 256
"""Octets at the beginning of a text among which white space is skipped."""
_MAX_DEPTH = 32


class ContainerError(ValueError):
    """The file holds no certificate; the text continues a sentence that begins with the file's name."""


class FileCertificate(NamedTuple):
    """One certificate of a file, not parsed yet."""

    der: bytes
    settings: bytes = b""
    """OpenSSL's own trust settings behind it (X509_CERT_AUX, in ``TRUSTED CERTIFICATE`` blocks); empty = none."""


def certificates_in(data: bytes) -> list[FileCertificate]:
    """Every certificate in a file, at least one. In a PKCS#7 container they are in no particular order.

    Raises:
        ContainerError: it holds nothing that looks like a certificate.
    """
    data = _as_octets(data)
    if data[:1] == _SEQUENCE:
        return _in_der(data)
    blocks = [match for match in _PEM.finditer(data) if match["label"] in _CERTIFICATE_LABELS | _PKCS7_LABELS]
    if blocks:
        return [certificate for match in blocks for certificate in _in_block(match["label"], match["body"])]
    bare = [certificate for value in _bare(data) for certificate in _in_der(value)]
    if bare:
        return bare
    raise ContainerError(f"{_instead(data)} (PEM, DER or PKCS#7 is wanted)")


def values_in(data: bytes, label: bytes) -> list[bytes]:
    """DER values of another kind in a file, e.g. ``X509 CRL``; what is none of the forms above comes back whole."""
    data = _as_octets(data)
    if data[:1] == _SEQUENCE:
        values = [bytes(without_white_space(data))]
    else:
        blocks = [match for match in _PEM.finditer(data) if match["label"] in _PKCS7_LABELS or label.endswith(match["label"])]
        values = [_decoded(_text_of(match["body"])) for match in blocks] or _bare(data) or [data]
    return [inner for value in values for inner in _crls_in(value)]


def form_fault(data: reader.Bytes) -> str:
    """What a file is that holds no DER value, for people; empty = it begins like one."""
    if data[:1] == _SEQUENCE:
        return ""
    head = bytes(data[:_HEAD])
    other = _other_file(head)
    if other:
        return f"it is {other}"
    label = _BEGIN.search(head)
    if label:
        return f"it is a PEM block {label[1].decode()}, of another kind or cut off"
    return "it holds no DER value" if head.strip() else "it is empty"


def _other_file(head: bytes) -> str:
    """Which kind of file begins so, that people save or pack a certificate or a CRL as; empty = not known."""
    if b"<html" in head.lower() or b"<!doctype" in head.lower():
        return "a page of HTML"
    return "compressed (gzip)" if head[:2] == b"\x1f\x8b" else "a ZIP archive" if head[:4] == b"PK\x03\x04" else ""


def other_signed(data: bytes) -> str:
    """Which other signed structure a DER value is that is no certificate, for people; empty = not known."""
    try:
        start, stop = reader.expect(data, *reader.element(data, 0, len(data))[1:], reader.SEQUENCE)
        tags = [tag for tag, *_ in reader.children(data, start, stop)]
    except reader.DerError:
        return ""
    after_name = tags[3] if len(tags) > 3 and tags[:3] == [reader.INTEGER, reader.SEQUENCE, reader.SEQUENCE] else 0
    if after_name in (reader.UTC_TIME, reader.GENERALIZED_TIME):
        return "a certificate revocation list"
    return "a certificate request" if after_name == _ATTRIBUTES else ""


def without_white_space(data: reader.Bytes) -> reader.Bytes:
    """A DER value without the white space behind it; any other octet behind it stays."""
    try:
        end = reader.element(data, 0, len(data))[2]
    except reader.DerError:
        return data
    return data[:end] if not bytes(data[end:]).strip(_WHITE_SPACE) else data


def _as_octets(data: bytes) -> bytes:
    """Without the marks and white space that editors put before a value, and UTF-16 text as ASCII."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace").encode("ascii", "replace")
    for place, codec in ((0, "utf-16-le"), (1, "utf-16-be")):
        letter, other = data[place : place + 1], data[1 - place : 2 - place]
        if other == b"\0" and (letter.isalpha() or letter == b"-"):
            return data.decode(codec, "replace").encode("ascii", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    value = data[:_HEAD].lstrip()
    if value[:1] == _SEQUENCE and value[1:2] > b"\x80":  # no text: a long length behind the tag
        return data.lstrip()
    return data


def _in_block(label: bytes, body: bytes) -> list[FileCertificate]:
    der = _decoded(_text_of(body))
    if label in _PKCS7_LABELS or is_pkcs7(der):
        return _in_pkcs7(der)
    if label.startswith(b"TRUSTED"):
        try:
            end = reader.element(der, 0, len(der))[2]
        except reader.DerError:
            end = len(der)
        return [FileCertificate(der[:end], der[end:])]
    return [FileCertificate(der)]


def _in_der(data: bytes) -> list[FileCertificate]:
    if is_pkcs7(data):
        return _in_pkcs7(data)
    other = next((kind for begin, kind in _OTHERS.items() if data[_header(data) :].startswith(begin)), None)
    if other is not None:
        raise ContainerError(f"is {other}, not a certificate (PEM, DER or PKCS#7 is wanted)")
    return [FileCertificate(bytes(without_white_space(data)))]


def _text_of(data: bytes) -> bytes:
    """The letters that are meant, without what stands between them. It takes no memory for each, whatever a source serves."""
    for written, meant in _MEANT.items():
        data = data.replace(written, meant)
    return data


def _decoded(text: bytes) -> bytes:
    """Base64 text as octets; of several texts, each with its own padding, one after the other."""
    text = text.translate(None, _BLANKS)
    parts = text.split(b"=", 2 * MAX_CERTIFICATES)
    try:
        return b"".join(base64.b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in parts)
    except (binascii.Error, ValueError):
        return text  # refused by the value's own reader


def _bare(data: bytes) -> list[bytes]:
    """DER SEQUENCEs as bare base64, one after the other, or one in hexadecimal; none when the text is neither."""
    if not _text_of(data[:_HEAD]).lstrip(_AROUND).startswith((b"M", b"30")):
        return []
    text = _text_of(data).strip(_AROUND)
    if _HEX.fullmatch(text):
        digits = text.translate(None, b":" + _BLANKS)
        return [bytes.fromhex(digits.decode())] if len(digits) % 2 == 0 else []
    return _in_a_row(_decoded(text)) if _BARE.fullmatch(text) else []


def _in_a_row(data: bytes) -> list[bytes]:
    """SEQUENCEs one after the other; the whole as one when they do not fill it."""
    found: list[bytes] = []
    position = 0
    try:
        while position < len(data) and len(found) < MAX_CERTIFICATES:
            end = reader.element(data, position, len(data))[2]
            found.append(data[position:end])
            position = end
    except reader.DerError:
        pass
    if position < len(data) or any(value[:1] != _SEQUENCE for value in found):
        found = [data]
    return found if data[:1] == _SEQUENCE else []


def _header(data: bytes) -> int:
    """Octets before the contents of the DER value that begins here."""
    return 2 + (data[1] & 0x7F if data[1:2] and data[1] & 0x80 else 0)


def _instead(data: bytes) -> str:
    if not data.strip():
        return "is empty"
    label = _BEGIN.search(data)
    if label is None:
        other = _other_file(data[:_HEAD])
        return f"is {other}" if other else "holds no certificate"
    if label[1] in _CERTIFICATE_LABELS:
        return "holds a certificate without its end"
    return f"holds {label[1].decode()}, not a certificate"


# --- PKCS#7


def is_pkcs7(data: reader.Bytes) -> bool:
    """Whether a DER or BER value is a PKCS#7 container."""
    head = bytes(data[:_HEAD])
    return head[:1] == _SEQUENCE and head[_header(head) :].startswith((_PKCS7, _GM_PKCS7))


def _in_pkcs7(data: bytes) -> list[FileCertificate]:
    try:
        found = _parts_of(data, _CERTIFICATES)
    except reader.DerError as error:
        raise ContainerError(f"is a PKCS#7 container that cannot be read: {error}") from error
    if not found:
        raise ContainerError("is a PKCS#7 container without certificates")
    return [FileCertificate(der) for der in found]


def _crls_in(data: bytes) -> list[bytes]:
    """The CRLs of a PKCS#7 container; what is none, or cannot be read, comes back whole."""
    try:
        return (_parts_of(data, _CRLS) if is_pkcs7(data) else []) or [data]
    except reader.DerError:
        return [data]


def _parts_of(data: bytes, tag: int) -> list[bytes]:
    """Of ContentInfo {OID, [0] SignedData {version, digests, content, [0] certificates, [1] CRLs …}} those in this tag."""
    content = _ber_children(data, _ber(data, 0, len(data), 0))
    tagged = next((item for item in content if item.tag == _CONTENT), None)
    if tagged is None:
        raise reader.DerError("no content")
    signed = _ber_children(data, tagged)
    fields = _ber_children(data, signed[0]) if signed else []
    parts = next((item for item in fields[2:] if item.tag == tag), None)
    if parts is None:
        return []
    return [data[item.begin : item.after] for item in _ber_children(data, parts) if item.tag == reader.SEQUENCE]


class _Ber(NamedTuple):
    """One BER element: its tag, where it begins, where its contents lie, and where the next one begins."""

    tag: int
    begin: int
    first: int
    end: int
    after: int


def _ber(data: bytes, position: int, stop: int, depth: int) -> _Ber:
    """One element in BER: lengths may be indefinite or longer than need be (X.690 clause 8.1.3)."""
    if depth > _MAX_DEPTH or position + 2 > stop:
        raise reader.DerError("nested too deep" if depth > _MAX_DEPTH else "truncated")
    tag, size, first = data[position], data[position + 1], position + 2
    if size == 0x80:
        end = first
        while data[end : end + 2] != b"\0\0":
            end = _ber(data, end, stop, depth + 1).after
        return _Ber(tag, position, first, end, end + 2)
    if size > 0x80:
        octets = size & 0x7F
        size, first = int.from_bytes(data[first : first + octets], "big"), first + octets
    if first + size > stop:
        raise reader.DerError("truncated")
    return _Ber(tag, position, first, first + size, first + size)


def _ber_children(data: bytes, parent: _Ber) -> list[_Ber]:
    found: list[_Ber] = []
    position = parent.first
    while position < parent.end:
        found.append(_ber(data, position, parent.end, 0))
        if len(found) > MAX_CERTIFICATES:
            raise reader.DerError(f"more than {MAX_CERTIFICATES} elements")
        position = found[-1].after
    return found
