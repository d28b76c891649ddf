"""The identity: which lock this is, and who its holder is, read by the provider's rules. Check digits must hold.

Sources: GB 32100-2015 (统一社会信用代码), GB 11643-1999 (公民身份号码), GM/T 0015 for the extensions. Nothing is guessed across
CAs: a rule belongs to one provider. The holder's id stays in memory as clear text; a keyed hash is stored, a masked form shown.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from operator import mul

from calock.core.certificates.certificate import Certificate
from calock.core.der import names, strings
from calock.core.policy import IdentityRule, Policy, by_rule
from calock.core.prefix import without_prefix
from calock.core.refusals import Reason
from calock.core.verdict import Check, Identity, Step, failed, passed, skipped

_NO_HOLDER = "none of the provider's rules finds a holder id"
_LEFT_OVER = "\0\ufeff\u200b\ufffd \t\r\n\u3000"
"""What stands before or behind a number without belonging to it; U+FFFD is how such characters are shown."""
MAX_TEXT = 256
"""Characters of an attribute that a rule looks at."""

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_VALUES = {character: number for number, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_USCC_SHAPE = re.compile(rf"(?!0{{18}}|123456789012345678)[{_USCC_ALPHABET}]{{18}}")
"""Zeros, and digits counted up, fill an empty field, and have a right check character: all such locks would have one holder."""
_ID_CARD_SHAPE = re.compile(r"[1-9]\d{16}[\dXx]")
_TEXT_SHAPE = re.compile(r"[\x21-\x7e一-鿿](?:[\x20-\x7e一-鿿]{0,62}[\x21-\x7e一-鿿])?")


def uscc_valid(value: str) -> bool:
    """Whether 18 characters are a unified social credit code with the right check character (GB 32100 clause 4.2)."""
    if not _USCC_SHAPE.fullmatch(value):
        return False
    numbers = list(map(_USCC_VALUES.__getitem__, value))
    total: int = sum(map(mul, numbers, _USCC_WEIGHTS))
    return numbers[17] == -total % 31


def id_card_valid(value: str) -> bool:
    """Whether 18 characters are a citizen identity number: a date that exists and the right check digit (GB 11643 clause 4)."""
    if not _ID_CARD_SHAPE.fullmatch(value) or not value.isascii():
        return False
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(value[:17]))
    return "10X98765432"[total % 11] == value[17].upper()


def masked(kind: str, value: str) -> str:
    """The form that may be shown: an organisation's code keeps its ends, a personal number its last four characters."""
    if kind == "uscc":
        return f"{value[:4]}{'*' * 10}{value[-4:]}"
    return "*" * max(len(value) - 4, 4) + (value[-4:] if len(value) > 8 else "")


def check_identity(certificate: Certificate, policy: Policy, *, device_serial: str = "") -> tuple[list[Check], Identity | None]:
    """Read lock and holder by the provider's rules. ``device_serial``: what the driver reported; used only by a ``device`` rule."""
    rules = policy.identity
    lock, lock_source = _lock(certificate, rules.lock, device_serial)
    holder, kind, fault = _holder(certificate, rules.holder)
    identity = Identity(lock, lock_source, kind, holder, masked(kind, holder) if holder else "")
    checks = [passed(Step.IDENTITY, "lock", f"read from {lock_source}")]
    if fault:
        checks.append(failed(Step.IDENTITY, "holder", Reason.HOLDER_ID_INVALID, fault))
    elif holder:
        checks.append(passed(Step.IDENTITY, "holder", kind))
    elif rules.holder_required:
        checks.append(failed(Step.IDENTITY, "holder", Reason.HOLDER_ID_MISSING, by_rule(_NO_HOLDER, "holder_required")))
    else:
        checks.append(skipped(Step.IDENTITY, "holder", "the certificate names no holder id, and the provider does not ask for one"))
    return checks, None if fault or (rules.holder_required and not holder) else identity


def is_dummy_serial(serial: str) -> bool:
    """Whether this is a value that makers leave in every device: one character throughout, digits counted up, or zeros before one.

    Such a serial denotes no device: two people's locks would look like one.
    """
    text = "".join(serial.split()).upper()
    counted = any(text and text in digits * 2 for digits in ("0123456789", "1234567890", "0123456789ABCDEF"))
    return len(set(text)) <= 1 or (counted and len(text) >= 4) or len(text.lstrip("0")) <= 1


def _lock(certificate: Certificate, rules: tuple[IdentityRule, ...], device_serial: str) -> tuple[str, str]:
    """(id, source). A lock's id is shown and stored in clear, so a person's number is never taken as one."""
    for rule in rules:
        texts = _texts(certificate, rule, device_serial)
        values = {text for text in texts if accepted(rule.kind, text) and not id_card_valid(normalised("id_card", text))}
        if len(values) == 1:
            return values.pop(), rule.source
    return certificate.spki_sha256[:20].upper(), "key"


def _holder(certificate: Certificate, rules: tuple[IdentityRule, ...]) -> tuple[str, str, str]:
    """(id, kind, fault). A number that cannot be read is a fault unless another rule finds the holder."""
    unreadable = ""
    for rule in rules:
        if rule.source == "device":
            continue  # a device names itself; it never names a person
        texts = [normalised(rule.kind, text) for text in _texts(certificate, rule, "")]
        values = {text for text in texts if accepted(rule.kind, text)}
        place = rule.oid or rule.source
        if len(values) > 1:
            return "", "", f"several different values of {place}"
        wrong = [text for text in texts if _shape(rule.kind).fullmatch(text) and text not in values]
        if any(not _is_another_number(text, certificate, rules) for text in wrong):
            return "", "", f"the check digits of the {rule.kind} in {place} do not hold"
        if values:
            return values.pop(), rule.kind, ""
        if texts and rule.kind != "text":
            unreadable = unreadable or f"{place} holds text that is no number of kind {rule.kind}"
        elif rule.kind != "text" and _says_no_text(certificate, rule):
            unreadable = unreadable or f"the {rule.kind} in {place} cannot be read"
    return "", "", unreadable


def _is_another_number(text: str, certificate: Certificate, rules: tuple[IdentityRule, ...]) -> bool:
    """Whether a rule for the other kind of number reads this one: CAs write a firm's or a person's into the same place."""
    return any(text in accepted_values(certificate, rule) for rule in rules if rule.kind != "text" and rule.source != "device")


def _says_no_text(certificate: Certificate, rule: IdentityRule) -> bool:
    """Whether the extension is there and holds something that cannot be read as text: then it names somebody unknown.

    Nothing, and blanks, fill a field that is not used.
    """
    value = certificate.value_of(rule.oid) if rule.source == "oid" else None
    return value is not None and value[2:].strip(b" \0") != b"" and strings.first_text(value) is None


def accepted_values(certificate: Certificate, rule: IdentityRule) -> set[str]:
    """The ids of a holder that one rule alone finds, normalised."""
    texts = [normalised(rule.kind, text) for text in _texts(certificate, rule, "")]
    return {text for text in texts if accepted(rule.kind, text)}


def accepted(kind: str, text: str) -> bool:
    """Whether a normalised text is an id of this kind."""
    if kind == "uscc":
        return uscc_valid(text)
    return id_card_valid(text) if kind == "id_card" else bool(_TEXT_SHAPE.fullmatch(text))


def normalised(kind: str, text: str) -> str:
    """A number as it is compared and hashed.

    CAs write it in small letters, in full width, with blanks and hyphens, and their programs leave a NUL or a byte order mark.
    """
    if kind == "text":
        return text
    text = text.strip(_LEFT_OVER)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return "".join(text.replace("-", " ").split()).upper()


def _shape(kind: str) -> re.Pattern[str]:
    return {"uscc": _USCC_SHAPE, "id_card": _ID_CARD_SHAPE}.get(kind, _TEXT_SHAPE)


def _texts(certificate: Certificate, rule: IdentityRule, device_serial: str) -> list[str]:
    """Texts that this rule points at, prefix matched and cut off."""
    found: list[str | None] = []
    if rule.source == "oid":
        value = certificate.value_of(rule.oid)
        found = [] if value is None or len(value) > 4 * MAX_TEXT else [strings.first_text(value)]
    elif rule.source == "dn":
        found = [text for oid, text in certificate.subject_attributes if oid == rule.oid]
    elif rule.source == "device":
        found = [] if is_dummy_serial(device_serial) else [device_serial]
    else:
        found = [certificate.spki_sha256[:20].upper()]
    cut = [without_prefix(rule.prefix, text.strip()) for text in found if text and len(text) <= MAX_TEXT]
    return [names.printable(text) for text in cut if text]
