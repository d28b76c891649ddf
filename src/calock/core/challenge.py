"""The one-time text that a lock signs: ``c2.<purpose>.<expiry>.<random>.<statement>.<mac>``.

It carries the digest of a statement (:mod:`calock.core.statement`) that anybody can compute again: whoever reads it later knows
what was signed. Issuing stores nothing. The server recognises its own text by the MAC, and refuses it when it has expired, or was
made for another purpose, statement or context (pre-login cookie or session, and the ids behind the statement's words). The database
(``login.store``) ensures that it is used once, by :attr:`Challenge.digest`.

The MAC has two parts. The first says that the text is this server's, whoever holds it; the second, of 128 bits, that it was made
for this context. So one that was carried to another browser is told from a forged one, and is spent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from calock.core.refusals import Reason, Refusal
from calock.core.statement import Statement
from calock.core.statement import digest_of as digest_of_statement

TTL = timedelta(seconds=120)
MAX_TTL = timedelta(seconds=600)
CLOCK_DIFFERENCE = timedelta(seconds=30)
"""How far the clocks of two replicas may differ before a challenge counts as coming from the future."""
MAX_LENGTH = 128
_VERSION = "c2"
_OURS = 8
"""Octets of the MAC's first part. It decides only what a refusal is called."""
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


class Purpose(StrEnum):
    LOGIN = "login"
    BIND = "bind"
    UNBIND = "unbind"
    STEPUP = "stepup"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Challenge:
    """An opened challenge: ours, in time, for this purpose and context."""

    digest: str
    """SHA-256 of the text, hex: the key under which its use is recorded."""
    purpose: str
    expires_at: datetime
    statement: str
    """The statement that was signed with it."""


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"


def _mac(key: bytes, body: str, context: bytes) -> str:
    return _ours(key, body) + _b64(hmac.digest(key, b"calock context\x00" + body.encode() + b"\x00" + context, "sha256")[:16])


def _ours(key: bytes, body: str) -> str:
    return _b64(hmac.digest(key, b"calock challenge\x00" + body.encode(), "sha256")[:_OURS])


def issue(
    *,
    statement: Statement,
    context: bytes,
    key: bytes,
    now: datetime,
    ttl: timedelta = TTL,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> str:
    """Make a challenge for ``statement``: at most 128 ASCII characters, 128 random bits.

    ``context``: octets that the server can compute again when the answer comes. ``now`` is aware. ``key`` has at least 32 bytes.

    Raises:
        ValueError: a key too short, an unknown purpose, or a life that is not positive or above ten minutes.
    """
    if len(key) < 32 or not timedelta(0) < ttl <= MAX_TTL:
        raise ValueError("a key of at least 32 bytes and a life of at most ten minutes are wanted")
    expiry = int((now + ttl).timestamp())
    body = f"{_VERSION}.{Purpose(statement.purpose)}.{_base36(expiry)}.{_b64(random(16))}.{statement.digest}"
    return f"{body}.{_mac(key, body, context)}"


def open_challenge(
    text: str,
    *,
    purpose: str,
    statement: Callable[[datetime], Statement],
    context: bytes,
    key: bytes,
    now: datetime,
    ttl: timedelta = TTL,
) -> Challenge:
    """Recognise a challenge of ours, made for ``ttl``. ``statement`` gives the one that belongs to it, for the time it was made.

    Raises:
        Refusal: CHALLENGE_MALFORMED, CHALLENGE_FORGED, CHALLENGE_EXPIRED, CHALLENGE_FROM_FUTURE, CHALLENGE_WRONG_PURPOSE,
            CHALLENGE_WRONG_CONTEXT.
    """
    parts = text.split(".") if len(text) <= MAX_LENGTH and text.isascii() else []
    if len(parts) != 6 or parts[0] != _VERSION:
        raise Refusal(Reason.CHALLENGE_MALFORMED, "not a challenge of this server's version")
    body = text.rpartition(".")[0]
    if not hmac.compare_digest(parts[5][:11], _ours(key, body)):
        raise Refusal(Reason.CHALLENGE_FORGED, "the challenge was not made with this server's key")
    expires_at = datetime.fromtimestamp(int(parts[2], 36), UTC)
    if now >= expires_at:
        raise Refusal(Reason.CHALLENGE_EXPIRED, f"expired at {expires_at.isoformat()}")
    if expires_at - MAX_TTL > now + CLOCK_DIFFERENCE:
        raise Refusal(Reason.CHALLENGE_FROM_FUTURE, f"would expire at {expires_at.isoformat()}")
    if parts[1] != purpose:
        raise Refusal(Reason.CHALLENGE_WRONG_PURPOSE, f"made for {parts[1]}, used for {purpose}")
    if not hmac.compare_digest(parts[5], _mac(key, body, context)):
        raise Refusal(Reason.CHALLENGE_WRONG_CONTEXT, "made for another browser, site, member or provider")
    said = statement(expires_at - ttl).text()
    if digest_of_statement(said) != parts[4]:
        raise Refusal(Reason.CHALLENGE_WRONG_CONTEXT, "made for another statement, or a name in it changed meanwhile")
    return Challenge(digest_of(text), parts[1], expires_at, said)


def digest_of(text: str) -> str:
    """SHA-256 hex of a challenge text."""
    return hashlib.sha256(text.encode()).hexdigest()


def statement_digest_of(text: str) -> str:
    """The digest of the statement that a challenge was made for; empty for a text of another form. Says nothing of whose it is."""
    parts = text.split(".")
    return parts[4] if len(parts) == 6 and parts[0] == _VERSION else ""


def purpose_of(text: str) -> str:
    """What a challenge says that it is for; empty for a text of another form, such as a Web eID nonce."""
    parts = text.split(".")
    return parts[1] if len(parts) == 6 and parts[0] == _VERSION else ""
