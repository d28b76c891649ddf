"""What may be a mail address or a mobile number, and how one is shown: enough to recognise one's own."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models

MOST = 254
"""Characters of a mail address (RFC 5321 clause 4.5.3.1.3, less the angle brackets)."""
_PHONE = re.compile(r"1[3-9][0-9]{9}")
"""A mobile number of the mainland without its country code: 11 digits."""
_BETWEEN = str.maketrans("", "", " -\u3000")
_is_mail = EmailValidator(allowlist=[])
"""Without Django's exception for ``localhost``."""
_OF_A_MACHINE = re.compile(r"(^|\.)([0-9]+|localhost)$|\]$")
"""Ends of domains that name a machine: our mail server would deliver inside its own network."""


class ContactKind(models.TextChoices):
    MAIL = "mail", "邮箱"
    PHONE = "phone", "手机号"


def normalised(kind: ContactKind, text: str) -> str | None:
    """The value as messages are sent to it; None when it is none.

    A mail address is ASCII without blanks and line ends: it stands in a header. Its domain names no machine. ``+86`` and
    separators of a number are left out.
    """
    if kind == ContactKind.PHONE:
        number = text.strip()[:32].translate(_BETWEEN).removeprefix("+86").removeprefix("0086")
        return number if _PHONE.fullmatch(number) else None
    address = text.strip()
    if len(address) > MOST or not address.isascii() or not address.isprintable() or " " in address:
        return None
    try:
        _is_mail(address)
    except ValidationError:
        return None
    local, _, domain = address.rpartition("@")
    return None if _OF_A_MACHINE.search(domain.lower()) else f"{local}@{domain.lower()}"


def masked(kind: ContactKind, value: str) -> str:
    """``138****5678``, ``z***@example.cn``."""
    if kind == ContactKind.PHONE:
        return f"{value[:3]}****{value[-4:]}"
    local, _, domain = value.rpartition("@")
    return f"{local[:1]}***@{domain}"
