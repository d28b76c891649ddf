"""What is registered of an application, as operators propose it: typed, checked, and complete in every proposal."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from django.conf import settings
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from calock.core.refusals import Reason, Refusal
from calock.server.tools.addresses import FetchRefusedError, split

Protocol = Literal["oidc", "cas", "gate"]
"""OpenID Connect; CAS 3.0; ``gate``: a reverse proxy asks ``/auth/check`` (nginx ``auth_request``)."""
Audience = Literal["supplier", "purchaser", "agency", "regulator", "expert"]
"""Kinds of organisation, and experts, who belong to none."""
AuthMethod = Literal["private_key_jwt", "client_secret_basic", "client_secret_post"]
Level = Literal["", "password", "lock"]
Algorithm = Literal["RS256", "ES256"]
Icon = Literal["grid", "book", "list", "users", "shield", "monitor", "search", "download"]

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{1,49}\Z")]
Address = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^(https?://[!-~]+)?\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

MAX_KEYS = 2
"""Keys or secrets at the same time: the one in use, and the one that takes its place."""
LOOPBACK = re.compile(r"(.+\.)?localhost|127\.0\.0\.1|\[?::1\]?")


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that decides what an application may do. Addresses are compared as they stand here, letter by letter."""

    site: str
    client_id: Code
    name: Line
    note: Annotated[str, msgspec.Meta(max_length=60)] = ""
    """The second line of its tile."""
    icon: Icon = "grid"
    order: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 100
    protocols: Annotated[tuple[Protocol, ...], msgspec.Meta(min_length=1)]
    audience: Annotated[tuple[Audience, ...], msgspec.Meta(min_length=1)]
    entry_url: Address = ""
    """Where its tile leads: for OpenID Connect its ``initiate_login_uri``. Empty: it has no tile."""
    redirect_uris: Annotated[tuple[Address, ...], msgspec.Meta(max_length=20)] = ()
    post_logout_redirect_uris: Annotated[tuple[Address, ...], msgspec.Meta(max_length=20)] = ()
    cas_services: Annotated[tuple[Address, ...], msgspec.Meta(max_length=20)] = ()
    gate_urls: Annotated[tuple[Address, ...], msgspec.Meta(max_length=20)] = ()
    """Where a person may be sent back to after the login that ``/auth/check`` asked for."""
    logout_url: Address = ""
    """What hears by back channel that a session ended."""
    logout_private: bool = False
    """That address lies inside the operators' own network."""
    auth_method: AuthMethod = "private_key_jwt"
    jwks: Annotated[tuple[dict[str, str], ...], msgspec.Meta(max_length=MAX_KEYS)] = ()
    """Public keys for private_key_jwt, as JWK."""
    secrets: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=MAX_KEYS)] = ()
    """SHA-256 of the client secrets, the newest first."""
    id_token_alg: Algorithm = "RS256"  # noqa: S105 - an algorithm
    pairwise: bool = False
    """Its own ``sub`` for each person (OpenID Connect Core clause 8.1)."""
    require_level: Level = ""
    """Who proved less is asked for more, whatever the application asks."""
    offline: bool = False
    """It may have refresh tokens."""
    resources: Annotated[tuple[Address, ...], msgspec.Meta(max_length=5)] = ()
    """Its own APIs: for these it may ask for JWT access tokens (RFC 8707, RFC 9068)."""


def clean(values: object) -> Wish:
    """Values of a form or a proposal as a wish that can be granted.

    Raises:
        Refusal: APPLICATION_REFUSED, saying which value and why.
    """
    try:
        wish = msgspec.convert(values, Wish)
    except msgspec.ValidationError as error:
        raise Refusal(Reason.APPLICATION_REFUSED, str(error)[:200]) from error
    for name in ("redirect_uris", "post_logout_redirect_uris", "cas_services", "gate_urls", "resources"):
        for address in getattr(wish, name):
            _require_address(address, name)
    for name in ("entry_url", "logout_url"):
        if getattr(wish, name):
            _require_address(getattr(wish, name), name)
    _require_whole(wish)
    _require_keys(wish)
    return wish


def _require_address(text: str, name: str) -> None:
    """HTTPS; plain HTTP on this very computer alone, in a demonstration. No pattern, no fragment, no user name."""
    try:
        parts = split(text)
    except FetchRefusedError as error:
        raise Refusal(Reason.APPLICATION_REFUSED, f"{name}：{error}") from error
    if "#" in text or "*" in text or not parts.path.startswith("/") or parts.netloc != parts.netloc.lower() or ".." in parts.path:
        raise Refusal(Reason.APPLICATION_REFUSED, f"{name}：须为完整网址，主机名小写、有路径，不含 #、* 和 ..：{text[:80]}")
    loopback = LOOPBACK.fullmatch(parts.hostname or "")
    if parts.scheme != "https" and not (loopback and settings.CALOCK.insecure_http):
        raise Refusal(Reason.APPLICATION_REFUSED, f"{name}：须以 https:// 开头：{text[:80]}")


def _require_whole(wish: Wish) -> None:
    for protocol, name in (("oidc", "redirect_uris"), ("cas", "cas_services"), ("gate", "gate_urls")):
        if (protocol in wish.protocols) != bool(getattr(wish, name)):
            raise Refusal(Reason.APPLICATION_REFUSED, f"{name}：与接入协议 {protocol} 须同时填写或同时留空")
    if wish.pairwise and wish.protocols != ("oidc",):
        raise Refusal(Reason.APPLICATION_REFUSED, "pairwise：只用于 OpenID Connect；CAS 与网关总是给出账户名")


def _require_keys(wish: Wish) -> None:
    """Public keys alone, of kinds and sizes that hold: RSA from 2048 bits, P-256.

    Raises:
        Refusal: APPLICATION_REFUSED.
    """
    try:
        keys = KeySet.import_key_set({"keys": [dict(key) for key in wish.jwks]}).keys if wish.jwks else []
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Refusal(Reason.APPLICATION_REFUSED, f"jwks：{error}"[:200]) from error
    for key in keys:
        good = (isinstance(key, RSAKey) and key.public_key.key_size >= 2048) or (
            isinstance(key, ECKey) and key.curve_name == "P-256"
        )
        if not good or key.is_private:
            raise Refusal(Reason.APPLICATION_REFUSED, "jwks：只接受公钥，RSA 不短于 2048 位，或 P-256")
    if "oidc" in wish.protocols and wish.auth_method == "private_key_jwt" and not keys:
        raise Refusal(Reason.APPLICATION_REFUSED, "jwks：private_key_jwt 须登记应用的公钥")
