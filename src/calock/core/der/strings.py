"""Character strings of ASN.1 as CAs write them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import islice

from calock.core.der import reader

_CODECS = {0x0C: "utf-8", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_ONE_OCTET = frozenset({0x12, 0x13, 0x14, 0x16, 0x1A})
"""NumericString, PrintableString, T61String (TeletexString), IA5String, VisibleString."""
_UTF8, _T61 = 0x0C, 0x14
_NESTING = 6
_MOST_TEXTS = 64


def text(tag: int, contents: bytes) -> str | None:
    """Read a character string of any of ASN.1's types; None when it is no string or not decodable.

    The types of one octet a character are read as UTF-8 (which ASCII is), then as GB 18030, then as latin-1 (ISO 8859-1): CAs
    write all three into T61String, whose own character set is unused in practice, and some into the others.
    """
    if tag in _ONE_OCTET:
        return _one_octet_text(contents)
    codec = _CODECS.get(tag)
    return _decoded(contents, codec) if codec else None


def shown_text(tag: int, contents: bytes) -> str | None:
    """Like :func:`text`, for people: a UTF8String of other octets is read as GB 18030.

    Nothing may be decided by it: latin-1 and other octets are read so as well, as characters that nobody wrote.
    """
    found = text(tag, contents)
    return _decoded(contents, "gb18030") if found is None and tag == _UTF8 else found


def _one_octet_text(contents: bytes) -> str:
    found = _decoded(contents, "utf-8")
    if found is not None and _mixes_alphabets(found):
        found = _decoded(contents, "gb2312") or found
    if found is None:
        found = _decoded(contents, "gb18030")
    return contents.decode("latin-1") if found is None else found


def _mixes_alphabets(found: str) -> bool:
    """Whether a text has letters of several alphabets, as Chinese in GB 2312 has that happens to be UTF-8.

    太原 is one such: its octets are U+032B U+052D, too. No Chinese character is among those letters: they take three octets in
    UTF-8, and lie above U+07FF.
    """
    if found.isascii() or max(found) > "\u07ff":
        return False
    letters = [letter for letter in found if not letter.isascii() and unicodedata.category(letter)[0] in "LM"]
    return len({unicodedata.name(letter, "").partition(" ")[0] for letter in letters}) > 1


def exact_text(tag: int, contents: bytes) -> str | None:
    """Like :func:`text`, but None also for octets that other software may read as another text."""
    return None if tag in _ONE_OCTET and not contents.isascii() else text(tag, contents)


def former_text(tag: int, contents: bytes) -> str | None:
    """The text as it once was read: T61String as latin-1, the other types of one octet as ASCII or not at all."""
    if tag == _T61:
        return contents.decode("latin-1")
    return exact_text(tag, contents)


def _decoded(contents: bytes, codec: str) -> str | None:
    try:
        return contents.decode(codec)
    except UnicodeDecodeError:
        return None


def first_text(value: bytes) -> str | None:
    """The first of :func:`texts_in`; None when there is none."""
    return next(iter(texts_in(value)), None)


def texts_in(value: bytes) -> list[str]:
    """The texts inside an extension value as CAs write it, in their order.

    DER strings, also inside SEQUENCEs, OCTET STRINGs or context tags (GM/T 0015 wraps some; an otherName has an OID before its
    text), or bare ASCII without any DER.
    """
    found = [*islice(_texts(value, 0, len(value), _NESTING), _MOST_TEXTS)]
    bare = None if found else _ascii(value)
    return found if bare is None else [bare]


def _texts(value: bytes, at: int, end: int, nesting: int) -> Iterator[str]:
    while at < end:
        try:
            tag, start, at = reader.element(value, at, end)
        except reader.DerError:
            return
        contents = value[start:at]
        found = text(tag, contents)
        if found is None and (tag == reader.OCTET_STRING or tag & 0xE0 == 0x80):  # implicit context tag
            found = _ascii(contents)
        if found is not None:
            if found.strip():  # an empty one fills a field that is not used
                yield found
        elif nesting > 1 and (tag == reader.OCTET_STRING or tag & 0x20):
            yield from _texts(value, start, at, nesting - 1)


def _ascii(value: bytes) -> str | None:
    value = value.rstrip(b"\0\r\n")  # as programs leave it that write lines, or C strings
    return value.decode("ascii") if value and all(0x20 <= octet < 0x7F for octet in value) else None
