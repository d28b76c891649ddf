"""The login answer: a Web eID 1.0 authentication token, with the additional algorithm ``SM2``.

Source: Web eID system architecture, "authentication token specification", format ``web-eid:1.0``.
``signature = Sign(hash(origin) ‖ hash(challenge text))``; ECDSA and SM2 signatures are raw r‖s.
"""

from __future__ import annotations

import msgspec

from calock.core.refusals import Reason, Refusal

MAX_TOKEN_CHARACTERS = 10_000
"""Web eID: the text of a token is 100 to 10 000 characters. The lower bound is enforced by the required fields."""

FORMAT = "web-eid:1.0"


class AuthToken(msgspec.Struct, frozen=True, kw_only=True):
    """A login answer as it is sent; everything in it is unverified. Unknown fields are ignored."""

    format: str
    unverified_certificate: str = msgspec.field(name="unverifiedCertificate")
    """Base64 DER of the signing certificate."""
    algorithm: str
    signature: str
    app_version: str | None = msgspec.field(name="appVersion", default=None)
    stapled_ocsp: tuple[str, ...] = msgspec.field(name="stapledOcsp", default=())
    """Ours: base64 DER OCSP responses the driver took along, at most four; checked like any other response."""


_decoder = msgspec.json.Decoder(AuthToken)


def parse_token(text: bytes) -> AuthToken:
    """Read one token from JSON text.

    Raises:
        Refusal: TOKEN_EMPTY, TOKEN_TOO_LARGE, TOKEN_MALFORMED (not JSON, wrong types, NUL), TOKEN_FORMAT_UNSUPPORTED.
    """
    if not text.strip():
        raise Refusal(Reason.TOKEN_EMPTY, "empty token")
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise Refusal(Reason.TOKEN_TOO_LARGE, f"token of {len(text)} bytes")
    try:
        token = _decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.TOKEN_MALFORMED, str(error)[:200]) from error
    return check_token(token)


def check_token(token: AuthToken) -> AuthToken:
    """Check format and presence of the fields of a token that came inside a larger message.

    Raises:
        Refusal: TOKEN_FORMAT_UNSUPPORTED, TOKEN_EMPTY, TOKEN_TOO_LARGE.
    """
    if token.format not in (FORMAT, "web-eid:1"):
        raise Refusal(Reason.TOKEN_FORMAT_UNSUPPORTED, f"format {token.format[:40]!r}; this server supports {FORMAT}")
    if not token.unverified_certificate or not token.signature or not token.algorithm:
        raise Refusal(Reason.TOKEN_EMPTY, "certificate, algorithm and signature are required")
    if len(token.unverified_certificate) > MAX_TOKEN_CHARACTERS or len(token.signature) > 2048:
        raise Refusal(Reason.TOKEN_TOO_LARGE, "a field of the token is too large")
    return token
