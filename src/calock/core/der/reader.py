"""A bounded DER reader: it checks lengths, copies nothing and does not recurse.

``cryptography`` parses certificates and other small structures. This reader is for CRLs, which may have millions of entries,
and for fields that ``cryptography`` does not expose. Source: X.690 clauses 8.1 and 10.1 (definite, minimal lengths).
"""

from __future__ import annotations

from datetime import UTC, datetime

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OID = 0x06
ENUMERATED = 0x0A
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
_NO_TIME = "a time that is not written as RFC 5280 clause 4.1.2.5 demands: with seconds, Z and no fraction"

Bytes = bytes | memoryview


class DerError(ValueError):
    """The octets are not the DER that is expected here."""


def element(data: Bytes, position: int, stop: int) -> tuple[int, int, int]:
    """Read one tag and length: ``(tag, start of contents, end of contents)``.

    Raises:
        DerError: truncated, indefinite or not minimal length, or a tag number above 30.
    """
    if position + 2 > stop:
        raise DerError("truncated")
    tag = data[position]
    if tag & 0x1F == 0x1F:
        raise DerError("high tag number")
    size = data[position + 1]
    start = position + 2
    if size >= 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 4 or start + octets > stop:
            raise DerError("length form")
        size = int.from_bytes(data[start : start + octets], "big")
        start += octets
        if size < 0x80 or size >> (8 * (octets - 1)) == 0:
            raise DerError("length not minimal")
    end = start + size
    if end > stop:
        raise DerError("truncated")
    return tag, start, end


def expect(data: Bytes, position: int, stop: int, tag: int) -> tuple[int, int]:
    """Read an element that must have this tag: ``(start of contents, end of contents)``."""
    found, start, end = element(data, position, stop)
    if found != tag:
        raise DerError(f"tag {found:#04x} where {tag:#04x} was expected")
    return start, end


def only(data: Bytes, position: int, stop: int, tag: int) -> tuple[int, int]:
    """Like :func:`expect` for what an explicit tag holds: one element and nothing after it."""
    if position + 4 < stop and data[position] == tag and tag & 0x1F != 0x1F and data[position + 1] == 0x82 and data[position + 2]:
        start = position + 4
        end = start + (data[position + 2] << 8 | data[position + 3])  # the usual form of what is long
    else:
        found, start, end = element(data, position, stop)
        if found != tag:
            raise DerError(f"tag {found:#04x} where {tag:#04x} was expected")
    if end != stop:
        raise DerError("bytes after the end" if end < stop else "truncated")
    return start, end


def whole(data: Bytes, tag: int = SEQUENCE) -> tuple[int, int]:
    """Read the one element that ``data`` is; bytes after it are an error."""
    return only(data, 0, len(data), tag)


def children(data: Bytes, start: int, stop: int, limit: int = 1000) -> list[tuple[int, int, int, int]]:
    """List the elements between ``start`` and ``stop``: ``(tag, position, start of contents, end of contents)``.

    Short lengths are read here rather than by :func:`element`: a login reads some forty of them.
    """
    found = []
    position = start
    try:
        while position < stop:
            tag, size, first = data[position], data[position + 1], position + 2
            if size < 0x80 and tag & 0x1F != 0x1F:
                end = first + size
                if end > stop:
                    raise DerError("truncated")
            else:
                tag, first, end = element(data, position, stop)
            found.append((tag, position, first, end))
            if len(found) > limit:
                raise DerError(f"more than {limit} elements")
            position = end
    except IndexError as error:
        raise DerError("truncated") from error
    return found


def bounds(data: bytes, start: int, stop: int, limit: int) -> list[int]:
    """Where the elements between ``start`` and ``stop`` begin, and the end of the last, without their tags.

    Raises:
        DerError: as :func:`element`, but for tags, and more than ``limit`` elements.
    """
    found = [start]
    position = start
    try:
        while position < stop:
            size = data[position + 1]
            if size < 0x80:
                position += 2 + size
            elif size == 0x82 and data[position + 2]:
                position += 4 + (data[position + 2] << 8 | data[position + 3])
            else:
                position = element(data, position, stop)[2]
            found.append(position)
    except IndexError as error:
        raise DerError("truncated") from error
    if position != stop or len(found) > limit + 1:
        raise DerError("truncated" if position != stop else f"more than {limit} elements")
    return found


def encode(tag: int, contents: bytes) -> bytes:
    """Encode one element with a minimal length."""
    size = len(contents)
    if size < 0x80:
        return bytes((tag, size)) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + contents


def encode_integer(value: int) -> bytes:
    """Encode an INTEGER."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def boolean(contents: Bytes) -> bool:
    """Read the contents of a BOOLEAN (X.690 clause 11.1: TRUE is FF)."""
    if bytes(contents) not in (b"\x00", b"\xff"):
        raise DerError("malformed BOOLEAN")
    return contents[0] == 0xFF


def integer(contents: Bytes) -> int:
    """Read the contents of an INTEGER (minimal form only)."""
    if not contents or (
        len(contents) > 1 and ((contents[0] == 0 and contents[1] < 0x80) or (contents[0] == 0xFF and contents[1] >= 0x80))
    ):
        raise DerError("integer not minimal")
    return int.from_bytes(contents, "big", signed=True)


def flags(contents: Bytes) -> list[bool]:
    """Read the contents of a BIT STRING of a few named bits, without those that it counts as unused (X.690 clause 8.6.2)."""
    if not contents or contents[0] > 7 or (len(contents) == 1 and contents[0]) or len(contents) > 3:
        raise DerError("malformed flags")
    bits = [bool(octet >> shift & 1) for octet in contents[1:] for shift in range(7, -1, -1)]
    return bits[: len(bits) - contents[0]]


def oid(contents: Bytes) -> str:
    """Read the contents of an OBJECT IDENTIFIER as dotted text."""
    if not contents or len(contents) > 64 or contents[-1] & 0x80:
        raise DerError("object identifier")
    arcs: list[int] = []
    value = 0
    fresh = True
    for octet in bytes(contents):
        if fresh and octet == 0x80:
            raise DerError("object identifier not minimal")
        value = (value << 7) | (octet & 0x7F)
        fresh = not octet & 0x80
        if fresh:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def time(tag: int, contents: Bytes) -> datetime:
    """Read UTCTime or GeneralizedTime as RFC 5280 clause 4.1.2.5 allows them: seconds, Z, no fraction."""
    text = bytes(contents)
    if tag == UTC_TIME and len(text) == 13:
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    elif tag != GENERALIZED_TIME or len(text) != 15:
        raise DerError(_NO_TIME)
    digits = text[:14]
    if text[14:] != b"Z" or not digits.isdigit():
        raise DerError(_NO_TIME)
    try:
        return datetime(
            int(digits[:4]), int(digits[4:6]), int(digits[6:8]), int(digits[8:10]), int(digits[10:12]), int(digits[12:]), tzinfo=UTC
        )
    except ValueError as error:
        raise DerError(_NO_TIME) from error
