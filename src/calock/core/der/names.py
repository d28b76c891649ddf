"""Distinguished names, to compare (RFC 5280 clause 7.1) and to show. A name's text never decides about identity."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

from calock.core.der import reader, strings
from calock.core.refusals import Reason, Refusal

COMMON_NAME = "2.5.4.3"
ORGANISATION = "2.5.4.10"
_SHORT = {
    COMMON_NAME: "CN", ORGANISATION: "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.5": "serialNumber", "2.5.4.4": "SN", "2.5.4.42": "GN", "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip
_MAX_ATTRIBUTES = 64
_LEFT_OVER = "\0\ufeff"
_FOLDED = 1024
"""Octets of one value up to which case and width are folded: X.520 allows 64 characters, and folding long texts is slow."""
_KEPT = 1024
"""Octets of a name up to which its comparison form is cached: CA names are short and recur."""
_SET = 0x31

NameKey = tuple[frozenset[tuple[str, str | bytes]], ...]
Rdns = tuple[tuple[tuple[str, int, bytes], ...], ...]
"""A parsed Name: for each RDN its attributes as (dotted OID, string tag, contents)."""

_oid = lru_cache(maxsize=256)(reader.oid)


def rdns_of(name: bytes) -> Rdns:
    """Parse a Name (DER) into its RDNs.

    Raises:
        DerError: not a Name, or one with more than 64 attributes.
    """
    rdns, count = [], 0
    for tag, _, inner, end in reader.children(name, *reader.whole(name, reader.SEQUENCE)):
        attributes = reader.children(name, inner, end, _MAX_ATTRIBUTES)
        count += len(attributes)
        if tag != _SET or not attributes or count > _MAX_ATTRIBUTES:
            raise reader.DerError(
                "malformed name" if count <= _MAX_ATTRIBUTES else f"more than {_MAX_ATTRIBUTES} attributes in a name"
            )
        rdns.append(tuple([_attribute(name, kind, first, last) for kind, _, first, last in attributes]))
    return tuple(rdns)


def _attribute(name: bytes, kind: int, first: int, last: int) -> tuple[str, int, bytes]:
    parts = reader.children(name, first, last, 2)
    if kind != reader.SEQUENCE or len(parts) != 2 or parts[0][0] != reader.OID:
        raise reader.DerError("malformed name")
    (_, _, begin, after), (tag, _, value, close) = parts
    return _oid(name[begin:after]), tag, name[value:close]


def comparison_key(name: bytes) -> NameKey:
    """A value that is equal for two names that are equal under RFC 5280 clause 7.1 (case, string type and white space ignored).

    Raises:
        DerError: not a Name.
    """
    return _kept_key(name) if len(name) <= _KEPT else comparison_form(rdns_of(name))


def comparison_form(rdns: Rdns) -> NameKey:
    """The comparison form of a parsed name."""
    return tuple([frozenset([(oid, _comparable(tag, contents)) for oid, tag, contents in rdn]) for rdn in rdns])


@lru_cache(maxsize=256)
def _kept_key(name: bytes) -> NameKey:
    return comparison_form(rdns_of(name))


def same_attribute_types(one: Rdns, other: Rdns) -> bool:
    """Whether two names have the same attribute types in the same places; otherwise they cannot be equal."""
    return [[part[0] for part in rdn] for rdn in one] == [[part[0] for part in rdn] for rdn in other]


def all_text(rdns: Rdns) -> bool:
    """Whether every value is a character string that all software reads alike."""
    return all(strings.exact_text(tag, contents) is not None for rdn in rdns for _, tag, contents in rdn)


def readable_key(name: bytes, reason: Reason = Reason.CERTIFICATE_UNPARSABLE) -> NameKey:
    """Like :func:`comparison_key` for a name that came from outside.

    Raises:
        Refusal: for ``reason``.
    """
    try:
        return comparison_key(name)
    except reader.DerError as error:
        raise Refusal(reason, f"malformed name: {error}") from error


def comparison_bytes(name: bytes) -> bytes:
    """The comparison form as octets that are the same in every process, for index files.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE.
    """
    return repr([sorted(map(repr, rdn)) for rdn in readable_key(name)]).encode()


def _comparable(tag: int, contents: bytes) -> str | bytes:
    value = strings.text(tag, contents) if len(contents) <= _FOLDED else None
    if value is None:
        return contents
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def printable(value: str) -> str:
    """Without control, format (also right-to-left marks) and unassigned characters, which could forge what is shown."""
    if value.isascii() and value.isprintable():
        return value[:200]
    safe = (letter if unicodedata.category(letter)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for letter in value[:200])
    return "".join(safe)


def shown(value: str) -> str:
    """Like :func:`printable`, without the NULs and byte order marks that programs leave around a text."""
    return printable(value.strip(_LEFT_OVER))


def attributes(rdns: Rdns, read: Callable[[int, bytes], str | None] = strings.text) -> tuple[tuple[str, str], ...]:
    """(dotted OID, text) in the name's order; what is no text is left out."""
    found = [(oid, read(tag, contents)) for rdn in rdns for oid, tag, contents in rdn]
    return tuple((oid, value) for oid, value in found if value is not None)


def last(pairs: tuple[tuple[str, str], ...], oid: str, safe: Callable[[str], str] = shown) -> str:
    """The last value of an attribute (the most specific), made safe to show; empty when absent."""
    return next((safe(value) for kind, value in reversed(pairs) if kind == oid), "")


def attribute_name(oid: str) -> str:
    """The short name of an attribute type for people, or its OID."""
    return _SHORT.get(oid, oid)


def display(pairs: tuple[tuple[str, str], ...]) -> str:
    """One line for people, in the name's order. What could pass for a further attribute inside a value is escaped."""
    return ", ".join(f"{_SHORT.get(oid, oid)}={_escape(shown(value))}" for oid, value in pairs)[:500]


def _escape(value: str) -> str:
    special = '+"\\<>;=' + ("," if "=" in value else "")  # "Test Co., Ltd" stays as people write it
    return "".join("\\" + character if character in special else character for character in value)
