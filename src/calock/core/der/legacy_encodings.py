"""Encodings that CAs write, that ``cryptography`` refuses, and that can be read in one way only.

| form | standard | seen |
|---|---|---|
| NULL parameters beside an ECDSA signature algorithm | RFC 5758 clause 3.2 wants them absent | Finnish identity cards (DVV) |
| a DEFAULT written out: ``critical FALSE``, ``version v1`` | X.690 clause 11.5 leaves it out | TPM, e-id and CA certificates |
| the attributes of an RDN in another order | X.690 clause 11.6 sorts a SET OF | CAs that write 姓名 and 编号 into one RDN |
| other octets in a PrintableString than its characters (``@ _ & *``, also Chinese text) | X.680 clause 41.4 | Chinese CAs |

A structure in one of these forms is parsed from a copy in which they are corrected. The copy is for *reading* fields:
signatures and fingerprints are always computed over the original octets. Extensions and names are read by our own decoders
(:mod:`.extensions`, :mod:`.strings`), which take ``cA FALSE`` and these strings as they are. docs/conformance.md lists every
form that is taken.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from calock.core.der import reader, strings

warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning)
# Old encodings, of which it warns, are judged by the gate under their own names.

_UTF8, _PRINTABLE, _SET = 0x0C, 0x13, 0x31
_CONSTRUCTED, _EXTENSIONS = 0x20, 0xA3
_VERSION_1 = bytes.fromhex("a003020100")
_ECDSA_NULL = {
    bytes.fromhex(f"300c06082a8648ce3d0403{digest}0500"): bytes.fromhex(f"300a06082a8648ce3d0403{digest}")
    for digest in ("02", "03", "04")
}
_PRINTABLE_CHARACTERS = re.compile(rb"[A-Za-z0-9 '()+,./:=?-]*")
_MAX_DEPTH = 24
_MAX_CHILDREN = 4096


def load(der: bytes) -> x509.Certificate:
    """Parse a certificate.

    Raises:
        ValueError: not DER, or not a certificate; the text says why, for operators.
    """
    try:
        return x509.load_der_x509_certificate(der)
    except x509.InvalidVersion:
        raise
    except ValueError as error:
        better = readable_copy(der)
        if better is None:
            raise ValueError(parse_error_text(error)) from error
    try:
        return x509.load_der_x509_certificate(better)
    except x509.InvalidVersion:
        raise
    except ValueError as error:
        raise ValueError(parse_error_text(error)) from error


def extensions_of(der: bytes, wanted: Collection[str]) -> x509.Extensions:
    """The extensions with these OIDs, as ``cryptography`` decodes them.

    Raises:
        ValueError: one of them is malformed. ``cryptography`` raises some ten other kinds, not all documented, on hostile octets.
    """
    copy = readable_copy(der, extensions=wanted)
    return x509.load_der_x509_certificate(copy if copy is not None else der).extensions


def readable_copy(data: bytes, *, extensions: Collection[str] | None = None) -> bytes | None:
    """A copy of a structure with these forms corrected; None when it has none of them, or is not DER.

    ``extensions``: of a certificate's extensions keep those with these OIDs only.
    """
    try:
        copy = _all(data, 0, extensions)
    except reader.DerError:
        return None
    return copy if copy != data else None


def _all(contents: bytes, depth: int, extensions: Collection[str] | None) -> bytes:
    """A row of elements, each corrected."""
    if depth > _MAX_DEPTH:
        raise reader.DerError("nested too deep")
    elements = reader.children(contents, 0, len(contents), _MAX_CHILDREN)
    return b"".join([_one(contents[begin:end], depth, extensions) for _, begin, _, end in elements])


def _one(element: bytes, depth: int, extensions: Collection[str] | None) -> bytes:
    tag = element[0]
    if not tag & _CONSTRUCTED:
        return element
    if element in _ECDSA_NULL:
        return _ECDSA_NULL[element]
    contents = element[slice(*reader.whole(element, tag))]
    if tag == _EXTENSIONS and extensions is not None:
        return reader.encode(tag, _chosen(_all(contents, depth + 1, None), extensions))
    if tag == reader.SEQUENCE:
        contents = _readable(contents.removeprefix(_VERSION_1))
    better = _all(contents, depth + 1, extensions)
    return reader.encode(tag, _in_order(better) if tag == _SET else better)


def _in_order(contents: bytes) -> bytes:
    return b"".join(sorted(contents[begin:end] for _, begin, _, end in reader.children(contents, 0, len(contents), _MAX_CHILDREN)))


def _readable(contents: bytes) -> bytes:
    """Contents of a SEQUENCE, corrected when it is an Extension or an AttributeTypeAndValue."""
    parts = reader.children(contents, 0, len(contents), _MAX_CHILDREN)
    tags = [part[0] for part in parts]
    if tags == [reader.OID, _PRINTABLE]:
        _, begin, first, end = parts[1]
        value = contents[first:end]
        if not _PRINTABLE_CHARACTERS.fullmatch(value):
            return contents[:begin] + reader.encode(_UTF8, (strings.text(_PRINTABLE, value) or "").encode())
    elif tags == [reader.OID, reader.BOOLEAN, reader.OCTET_STRING]:
        _, begin, first, end = parts[1]
        if contents[first:end] == b"\x00":
            return contents[:begin] + contents[end:]
    return contents


def _chosen(data: bytes, wanted: Collection[str]) -> bytes:
    start, stop = reader.whole(data)
    kept = []
    for _, position, first, end in reader.children(data, start, stop, _MAX_CHILDREN):
        begin, after = reader.expect(data, first, end, reader.OID)
        if reader.oid(data[begin:after]) in wanted:
            kept.append(data[position:end])
    return reader.encode(reader.SEQUENCE, b"".join(kept))


_PARSE_ERROR = re.compile(r"ParseError \{ kind: (?P<kind>\w+)(?P<rest>.*)\}", re.DOTALL)
_LOCATION = re.compile(r'"([^"]+)"')
_KINDS = {
    "ExtraData": "there are octets after its end",
    "ShortData": "it is cut off, or a field is missing",
    "InvalidLength": "a length is not written as DER demands (X.690 clause 10.1)",
    "EncodedDefault": "a default value is written out where DER leaves it out (X.690 clause 11.5)",
    "UnexpectedTag": "a value is of another type than X.509 demands",
    "InvalidTag": "a tag is not written as DER demands",
    "InvalidValue": "a value has a form that its type does not allow",
    "IntegerOverflow": "a number is too large",
    "InvalidSetOrdering": "the elements of a SET are not in the order that DER demands (X.690 clause 11.6)",
}


def parse_error_text(error: Exception) -> str:
    """An error of ``cryptography``'s parser in words for operators: what is wrong, and in which field."""
    found = _PARSE_ERROR.search(str(error))
    if found is None:
        return str(error)[:200]
    places = [place.rpartition("::")[2] for place in _LOCATION.findall(found["rest"]) if place != "0"]
    where = f" (in {' > '.join(places[:4])})" if places else ""
    return f"not readable as DER: {_KINDS.get(found['kind'], 'it is malformed')}{where}"[:200]
