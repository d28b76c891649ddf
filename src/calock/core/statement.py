"""What a lock signs, in words that a third party can read: purpose, site, origin, who, with which provider, and when.

A challenge of version 2 carries the SHA-256 of this text, so that a signature over the challenge is one over the text. The text is
JSON in the canonical form of RFC 8785; all values are strings, so sorted keys and no spaces are that form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime

import msgspec

from calock.core.refusals import Reason, Refusal

_canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
MAX_STATEMENT = 2000
"""Characters."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One statement. What does not apply is left out: nobody is known yet at a login."""

    purpose: str
    """``login``, ``bind``, ``unbind`` or ``stepup``."""
    site: str
    """The site's code."""
    origin: str
    """``https://host[:port]``, which the browser attests to the driver as well."""
    time: str
    """When it was made: ISO 8601 in UTC, to the second."""
    account: str = ""
    """Name of the account that it is about; for a binding the one that gets the lock."""
    by: str = ""
    """Name of the account that acts, where that is another one."""
    organisation: str = ""
    organisation_code: str = ""
    """统一社会信用代码 (GB 32100)."""
    provider: str = ""
    """Code of the CA provider whose lock is to be bound."""
    binding: str = ""
    """Id of the binding that is to be ended."""

    def text(self) -> str:
        """The exact text whose digest is signed."""
        return _canonical(msgspec.to_builtins(self))

    @property
    def digest(self) -> str:
        return digest_of(self.text())


def moment(at: datetime) -> str:
    """A time as it stands in a statement."""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def digest_of(text: str) -> str:
    """SHA-256 of a statement in 43 characters of base64url, as a challenge carries it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode(errors="surrogatepass")).digest()).rstrip(b"=").decode()


def read_statement(text: str) -> Statement:
    """Read a statement that somebody sent.

    Raises:
        Refusal: CHALLENGE_MALFORMED: too long, not a statement, or not in the one form that a statement has.
    """
    try:
        read = msgspec.json.decode(text.encode() if len(text) <= MAX_STATEMENT else b"", type=Statement)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise Refusal(Reason.CHALLENGE_MALFORMED, "this is no statement") from error
    if read.text() != text:
        raise Refusal(Reason.CHALLENGE_MALFORMED, "the statement is not in its canonical form")
    return read
