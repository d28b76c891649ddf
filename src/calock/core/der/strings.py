"""Character strings of ASN.1 as CAs write them."""

from __future__ import annotations

from calock.core.der import reader

_CODECS = {
    0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii",
    0x1C: "utf-32-be", 0x1E: "utf-16-be",
}  # fmt: skip
_SET = 0x31
_NESTING = 6


def text(tag: int, contents: bytes) -> str | None:
    """Read a character string of any of ASN.1's types; None when it is no string or not decodable."""
    codec = _CODECS.get(tag)
    if codec is None:
        return None
    try:
        return contents.decode(codec)
    except UnicodeDecodeError:
        return None


def first_text(value: bytes) -> str | None:
    """Find the text inside an extension value as CAs write it.

    A DER string, possibly inside SEQUENCEs, OCTET STRINGs or context tags (GM/T 0015 wraps some), or bare ASCII without any DER.
    """
    at, end = 0, len(value)
    for _ in range(_NESTING):
        try:
            tag, start, stop = reader.element(value, at, end)
        except reader.DerError:
            break
        found = text(tag, value[start:stop])
        if found is not None:
            return found
        bare = _ascii(value[start:stop]) if tag == reader.OCTET_STRING or tag & 0xE0 == 0x80 else None  # implicit context tag
        if bare is not None:
            return bare
        if tag not in (reader.SEQUENCE, _SET, reader.OCTET_STRING) and not tag & 0x20:
            return None
        at, end = start, stop
    return _ascii(value)


def _ascii(value: bytes) -> str | None:
    return value.decode("ascii") if value and all(0x20 <= octet < 0x7F for octet in value) else None
