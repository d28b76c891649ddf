"""Numbers in a certificate that look like a holder's id and that none of the provider's rules reads.

CAs write the holder's number where they like: into private extensions, serialNumber, O or CN. A rule that does not look there makes
the lock one without a holder's number. What is found here is told to operators; no decision rests on it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from calock.core.certificates.certificate import Certificate
from calock.core.checks.identity import MAX_TEXT, accepted_values, id_card_valid, masked, normalised, uscc_valid
from calock.core.der import extensions, names, strings
from calock.core.policy import IdentityRule, IdentityRules, Kind, Source

_LENGTH = 18
"""Characters of both numbers (GB 32100 clause 4, GB 11643 clause 4)."""
_NEAR = 8
"""At most so many letters and digits stand directly before a number: in a longer row a right check digit is an accident."""
_MAX_LITERAL = 24
_NOT_LOOKED_AT = (extensions.USED - {extensions.OID_SUBJECT_ALT_NAME}) | {"1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.1.11"}
"""Extensions that hold key hashes and addresses."""


@dataclass(frozen=True, slots=True)
class UnreadNumber:
    """A number with valid check digits that no rule reads."""

    kind: Kind
    value: str = field(repr=False)
    source: Source
    oid: str
    """Of the extension or of the subject attribute."""
    rule: IdentityRule | None
    """The rule that would read it; None: other text stands behind or before it, so no rule can."""

    @property
    def masked(self) -> str:
        return masked(self.kind, self.value)

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        if self.source == "oid":
            return f"extension {extensions.extension_name(self.oid)}"
        short = names.attribute_name(self.oid)
        return f"subject attribute {short} ({self.oid})" if short != self.oid else f"subject attribute {self.oid}"


def unread_numbers(certificate: Certificate, rules: IdentityRules) -> list[UnreadNumber]:
    """Every such number once for each place, in the certificate's order: the subject first."""
    read = set(chain.from_iterable(accepted_values(certificate, rule) for rule in rules.holder))
    found = [number for place in _texts(certificate) for number in _numbers_in(*place)]
    return list(dict.fromkeys(number for number in [*found, *_further(certificate)] if number.value not in read))


def _texts(certificate: Certificate) -> Iterator[tuple[Source, str, str]]:
    for oid, text in certificate.subject_attributes:
        yield "dn", oid, text
    for extension in certificate.extensions:
        if extension.oid in _NOT_LOOKED_AT or len(extension.value) > 4 * MAX_TEXT:
            continue
        first = strings.first_text(extension.value)
        if first:
            yield "oid", extension.oid, first


def _further(certificate: Certificate) -> Iterator[UnreadNumber]:
    """Numbers in further texts of an extension: a rule reads the first alone."""
    for extension in certificate.extensions:
        if extension.oid in _NOT_LOOKED_AT or len(extension.value) > 4 * MAX_TEXT:
            continue
        for text in strings.texts_in(extension.value)[1:]:
            yield from (replace(number, rule=None) for number in _numbers_in("oid", extension.oid, text))


def _numbers_in(source: Source, oid: str, text: str) -> Iterator[UnreadNumber]:
    text = text.strip()[: MAX_TEXT + 1]
    whole = _kind_of(normalised("id_card", text))
    if whole:
        yield UnreadNumber(whole, normalised(whole, text), source, oid, IdentityRule(source, oid, kind=whole))
        return
    place = after = 0
    folded = unicodedata.normalize("NFKC", text)  # numbers in full width; one character stays one
    folded = folded if len(folded) == len(text) else text
    while place + _LENGTH <= len(text):
        number = folded[place : place + _LENGTH].upper()
        kind = _kind_of(number)
        behind = folded[place + _LENGTH : place + _LENGTH + 1]
        if kind is None or _word(behind) or len(_before(folded[:place])) > _NEAR:
            place += 1
            continue
        prefix = None if behind else prefix_for(text[:place], literal=not after)
        rule = IdentityRule(source, oid, prefix, kind) if prefix else None
        yield UnreadNumber(kind, number, source, oid, rule)
        place = after = place + _LENGTH


def _kind_of(number: str) -> Kind | None:
    if id_card_valid(number):
        return "id_card"  # a number that is both is taken for a person's, which is masked more
    return "uscc" if uscc_valid(number) else None


def _word(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _before(text: str) -> str:
    found = re.search(r"[A-Za-z0-9]*$", text)
    return found[0] if found else ""


def prefix_for(text: str, *, literal: bool = True) -> str | None:
    """A rule's prefix that matches ``text``; None = there is none that could not match something else as well.

    A short code such as ``1@5013SF0`` is taken literally. Other text may be a person's name, or hold one's number (``literal``
    False): only the separator at its end counts.
    """
    if literal and text.isascii() and text.isprintable() and len(text) <= _MAX_LITERAL:
        return "".join(character if character.isalnum() or character == " " else "\\" + character for character in text)
    if _word(text[-1]) or text[-1].isspace():
        return None
    return ".*\\" + text[-1] if text[-1].isascii() else ".*" + text[-1]
