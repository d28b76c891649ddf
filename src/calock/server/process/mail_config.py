"""How mail leaves this server: ``CALOCK_MAIL`` and its sisters, read once and refused when they make no sense."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from calock.server.contacts.values import ContactKind, normalised
from calock.server.sites.practice import is_loopback_name

PORTS = {"smtp": 587, "smtps": 465}
SECONDS = 30


class MailConfigError(ValueError):
    """What the environment says about mail cannot work; the text names the variable."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and as whom."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = ""
    tls_at_once: bool = False
    starttls: bool = True
    """Demanded where it is set: a server that does not offer it gets no mail."""
    seconds: int = SECONDS
    """For one mail, from the first octet to the last."""


def read_mail_server() -> MailServer | None:
    """The mail server that is named; None when there is none, and no page offers mail then.

    Raises:
        MailConfigError: a value that makes no sense.
    """
    value = os.environ.get("CALOCK_MAIL", "")
    if not value:
        _refuse_alone()
        return None
    host, port, scheme = _address(value)
    sender = normalised(ContactKind.MAIL, os.environ.get("CALOCK_MAIL_FROM", ""))
    if sender is None:
        raise MailConfigError(
            "CALOCK_MAIL_FROM is the address that mail comes from, such as no-reply@example.cn; CALOCK_MAIL needs it"
        )
    user, password = os.environ.get("CALOCK_MAIL_USER", ""), read_secret("CALOCK_MAIL_PASSWORD_FILE")
    if bool(user) != bool(password):
        raise MailConfigError(
            "CALOCK_MAIL_USER and CALOCK_MAIL_PASSWORD_FILE belong together: a server that asks for one asks for both"
        )
    at_once = scheme == "smtps"
    return MailServer(host, port, sender, user, password, at_once, not at_once and not is_loopback_name(host), _seconds())


def _refuse_alone() -> None:
    alone = [name for name in ("FROM", "USER", "PASSWORD_FILE", "SECONDS") if os.environ.get(f"CALOCK_MAIL_{name}")]
    if alone:
        raise MailConfigError(f"CALOCK_MAIL_{alone[0]} is set and CALOCK_MAIL is not: no mail server is named")


def _address(value: str) -> tuple[str, int, str]:
    wanted = "CALOCK_MAIL is an address such as smtps://mail.example.cn or smtp://mail.example.cn:587"
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise MailConfigError(f"{wanted}: {error}") from error
    if parts.scheme not in PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise MailConfigError(f"{wanted}, with nothing behind the port")
    if parts.username or parts.password:
        raise MailConfigError(f"{wanted}; user and password stand in CALOCK_MAIL_USER and CALOCK_MAIL_PASSWORD_FILE")
    return host, port or PORTS[parts.scheme], parts.scheme


def _seconds() -> int:
    value = os.environ.get("CALOCK_MAIL_SECONDS", "") or str(SECONDS)
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 60):
        raise MailConfigError(f"CALOCK_MAIL_SECONDS must be a number from 1 to 60, not {value!r}")
    return int(value)


def read_secret(name: str) -> str:
    """The line of ASCII in the file that ``name`` names; empty when it names none.

    Raises:
        MailConfigError: it cannot be read, or holds something else.
    """
    path = os.environ.get(name, "")
    if not path:
        return ""
    try:
        secret = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MailConfigError(f"{name} names {path}, which cannot be read: {error}") from error
    if not (secret and secret.isascii() and secret.isprintable()):
        raise MailConfigError(f"{name} names {path}, which holds no line of ASCII")
    return secret
