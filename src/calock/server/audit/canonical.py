"""The exact bytes of an audit row that its MAC covers, and the number people read out."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from calock.core.masking import mask_person_ids
from calock.server.audit.models import AuditEvent
from calock.server.tools import seals
from calock.server.tools.times import local

MAX_TEXT = 300
MAX_DETAILS = 20
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: nothing that is misheard or misread
COVERED = (
    "number",
    "at",
    "event",
    "reason",
    "site",
    "actor",
    "subject",
    "organisation",
    "lock",
    "provider",
    "ip",
    "user_agent",
    "details",
)
Scalar = str | int | bool | None
Value = Scalar | Sequence[Scalar]
_DIGITS = re.compile(r"[\d \u00a0\u3000\-\u2010-\u2014_.·/]{17}")
"""What every personal id that ``mask_person_ids`` finds begins with. Nearly no value has it, and to know that costs 2 µs."""
_HASH = re.compile(r"((?<![0-9A-Za-z])(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Za-z]))")
"""A hash, which is evidence to the last digit: some in a million hold digits that could be somebody's number."""


def new_number(at: datetime) -> str:
    """Date and 60 random bits, in groups that can be read over the telephone: ``261122-7K3M-9QXT-0B5D``."""
    bits = secrets.randbits(60)
    code = "".join(_ALPHABET[bits >> shift & 31] for shift in range(55, -1, -5))
    return f"{local(at):%y%m%d}-{code[:4]}-{code[4:8]}-{code[8:]}"


def first_number_after(at: datetime) -> str:
    """What every number of that day, and of earlier ones of the century, sorts before: in any collation, since it is all digits."""
    return f"{local(at) + timedelta(days=1):%y%m%d}"


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of printable text: control, format and surrogate characters (CR, LF, ANSI, RTL marks, NUL) become ``·``."""
    if len(text) <= limit and text.isprintable():  # nearly always; none of the categories below is printable
        return text
    shown = "".join(
        "·" if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") else character for character in text[: limit + 1]
    )
    return shown if len(text) <= limit else shown[: limit - 1] + "…"


def _masked(text: str) -> str:
    """``text`` without the personal ids that people type into reasons and names."""
    if not _DIGITS.search(text):
        return text
    return "".join(part if place % 2 else mask_person_ids(part) for place, part in enumerate(_HASH.split(text)))


def clean_details(details: Mapping[str, Value]) -> dict[str, Value]:
    """At most 20 short values, or lists of as many, under plain names.

    Personal ids are masked before a text is cut, or most of one would be left.
    """
    return {_plain_name(name): _shown(details[name]) for name in list(details)[:MAX_DETAILS]}


@lru_cache(maxsize=256)
def _plain_name(name: str) -> str:
    return re.sub(r"\W", "_", name)[:40]


def _shown(value: Value) -> Value:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return _printable(value)
    return [_printable(item) for item in value[:MAX_DETAILS]]


def _printable(value: Scalar) -> Scalar:
    return clean(_masked(value)) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value if value is None or isinstance(value, dict) else str(value)


def canonical(row: AuditEvent) -> bytes:
    """Every column but ``id`` and ``mac``, as JSON with sorted keys and no spaces."""
    values = {name: _plain(getattr(row, name)) for name in COVERED}
    return seals.canonical(values, escaped=False)


def mac_of(row: AuditEvent) -> str:
    """The MAC that a row gets when it is written."""
    return seals.mac("audit", canonical(row))


def is_intact(row: AuditEvent) -> bool:
    """Whether a row is the one this server wrote."""
    return seals.fits(row.mac, "audit", canonical(row))


def has_no_key(row: AuditEvent) -> bool:
    """Whether no key of the ring speaks about a row: its secret was taken away. Its signed seal alone vouches for it then."""
    return seals.is_of_another_key(row.mac) or (not seals.key_id(row.mac) and len(row.mac) == 64)
