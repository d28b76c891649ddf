"""Distinguished names: for comparing (RFC 5280 clause 7.1) and for showing. Identity is never decided by a name's text."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from calock.core import strings, walk
from calock.core.refusals import Reason, Refusal

COMMON_NAME = "2.5.4.3"
ORGANISATION = "2.5.4.10"
_SHORT = {
    COMMON_NAME: "CN", ORGANISATION: "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
    "2.5.4.5": "serialNumber", "2.5.4.4": "SN", "2.5.4.42": "GN", "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress", "0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}  # fmt: skip
_MAX_ATTRIBUTES = 64
_SET = 0x31

NameKey = tuple[frozenset[tuple[str, str | bytes]], ...]


def _read(name: bytes) -> list[list[tuple[str, int, bytes]]]:
    """RDNs of a Name: (dotted OID, string tag, contents) each."""
    start, stop = walk.whole(name, walk.SEQUENCE)
    rdns, count = [], 0
    for tag, _, inner, end in walk.children(name, start, stop):
        if tag != _SET:
            raise walk.WalkError("malformed name")
        rdn = []
        for _, _, first, last in walk.children(name, inner, end):
            begin, after = walk.expect(name, first, last, walk.OID)
            kind, value, close = walk.element(name, after, last)
            rdn.append((walk.oid(name[begin:after]), kind, name[value:close]))
            count += 1
        if count > _MAX_ATTRIBUTES:
            raise walk.WalkError(f"more than {_MAX_ATTRIBUTES} attributes in a name")
        rdns.append(rdn)
    return rdns


@lru_cache(maxsize=512)
def comparison_key(name: bytes) -> NameKey:
    """What two names that are equal under RFC 5280 clause 7.1 have in common: case, string type and white space folded.

    Raises:
        WalkError: not a Name.
    """
    return tuple(frozenset((oid, _fold(tag, contents)) for oid, tag, contents in rdn) for rdn in _read(name))


def readable_key(name: bytes) -> NameKey:
    """Like :func:`comparison_key` for a certificate's name.

    Raises:
        Refusal: CERTIFICATE_UNPARSABLE.
    """
    try:
        return comparison_key(name)
    except walk.WalkError as error:
        raise Refusal(Reason.CERTIFICATE_UNPARSABLE, f"malformed name: {error}") from error


def _fold(tag: int, contents: bytes) -> str | bytes:
    value = strings.text(tag, contents)
    if value is None:
        return contents
    return " ".join(unicodedata.normalize("NFKC", value).casefold().split())


def attributes(name: bytes) -> tuple[tuple[str, str], ...]:
    """(dotted OID, text) in the name's order; what is no text is left out."""
    try:
        rdns = _read(name)
    except walk.WalkError:
        return ()
    found = [(oid, strings.text(tag, contents)) for rdn in rdns for oid, tag, contents in rdn]
    return tuple((oid, value) for oid, value in found if value is not None)


def last(pairs: tuple[tuple[str, str], ...], oid: str) -> str:
    """The last value of an attribute (the most specific), made safe to show; empty when absent."""
    return next((printable(value) for kind, value in reversed(pairs) if kind == oid), "")


def display(pairs: tuple[tuple[str, str], ...]) -> str:
    """One line for people, in the name's order, with separators inside values escaped."""
    return ", ".join(f"{_SHORT.get(oid, oid)}={_escape(printable(value))}" for oid, value in pairs)[:500]


def _escape(value: str) -> str:
    return "".join("\\" + character if character in ',+"\\<>;=' else character for character in value)


def printable(value: str) -> str:
    """Without control, format (also right-to-left marks) and unassigned characters, which could forge what is shown."""
    safe = (letter if unicodedata.category(letter)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for letter in value[:200])
    return "".join(safe)
