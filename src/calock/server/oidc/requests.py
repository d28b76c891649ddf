"""An authorization request, read and judged by itself: what it asks, or the error that its application is told.

Sources: RFC 6749 clause 4.1.2.1, OpenID Connect Core clauses 3.1.2.1, 3.1.2.6 and 6, RFC 7636, RFC 8707, RFC 9700 clause 2.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calock.core.refusals import Reason, Refusal
from calock.server.applications.wishes import Wish
from calock.server.grants.decide import Ask
from calock.server.grants.levels import level_of

SCOPES = ("openid", "profile", "calock", "offline_access")
PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS = re.compile(r"[0-9]{1,9}")
MAX_STATE = 1000
MAX_NONCE = 200

Parameters = Mapping[str, Sequence[str]]


class RequestError(Exception):
    """The application is told so at its redirect address. ``code`` is the registered error code."""

    def __init__(self, code: str, description: str = "") -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that can be decided."""

    redirect_uri: str
    state: str
    scope: str
    nonce: str
    code_challenge: str
    resource: str
    ask: Ask
    id_token_hint: str = ""
    login_hint: str = ""
    english: bool | None = None


def redirect_of(parameters: Parameters, wish: Wish) -> str:
    """Where the answer goes: an address that is registered exactly as it stands there. Until then the browser is sent nowhere.

    Raises:
        Refusal: REDIRECT_NOT_REGISTERED.
    """
    values = parameters.get("redirect_uri", [])
    if len(values) != 1 or values[0] not in wish.redirect_uris or "oidc" not in wish.protocols:
        raise Refusal(Reason.REDIRECT_NOT_REGISTERED, f"redirect_uri {(values[0] if values else '')[:120]!r}")
    return values[0]


def state_of(parameters: Parameters) -> str:
    """The ``state`` to hand back, empty when there is none that could be."""
    values = parameters.get("state", [])
    return values[0] if len(values) == 1 and len(values[0]) <= MAX_STATE else ""


def read(parameters: Parameters, wish: Wish, *, redirect_uri: str, before: datetime) -> AuthorizationRequest:
    """``before``: when the request first arrived; a new login must be younger.

    Raises:
        RequestError: what RFC 6749 and OpenID Connect Core call it.
    """
    one = _single(parameters)
    _require_plain_request(one)
    prompts = set(one.get("prompt", "").split())
    if not prompts <= PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise RequestError("invalid_request", "prompt")
    if one.get("max_age", "0") and not _SECONDS.fullmatch(one.get("max_age", "0")):
        raise RequestError("invalid_request", "max_age")
    anew = prompts & {"login", "select_account"}
    levels = tuple(filter(None, map(level_of, one.get("acr_values", "").split())))
    ask = Ask(
        levels=tuple(dict.fromkeys(levels)),
        minimum=wish.require_level,
        max_age=timedelta(seconds=int(one["max_age"])) if one.get("max_age") else None,
        asked_at=before,
        proved_after=before if anew or one.get("max_age") == "0" else None,
        silent="none" in prompts,
    )
    return AuthorizationRequest(
        redirect_uri=redirect_uri,
        state=one.get("state", ""),
        scope=_scope(one.get("scope", ""), wish),
        nonce=one.get("nonce", ""),
        code_challenge=_code_challenge(one),
        resource=_resource(one.get("resource", ""), wish),
        ask=ask,
        id_token_hint=one.get("id_token_hint", ""),
        login_hint=one.get("login_hint", "")[:64],
        english=_english(one.get("ui_locales", "")),
    )


def _single(parameters: Parameters) -> dict[str, str]:
    """Every parameter once (RFC 6749 clause 3.1)."""
    for name, values in parameters.items():
        if "\0" in "".join([name, *values]):
            raise RequestError("invalid_request", f"{name[:30]!r} has a NUL")
        if len(values) != 1:
            raise RequestError("invalid_request", f"{name[:30]} more than once")
    one = {name: values[0] for name, values in parameters.items()}
    if len(one.get("state", "")) > MAX_STATE or len(one.get("nonce", "")) > MAX_NONCE:
        raise RequestError("invalid_request", "state or nonce too long")
    return one


def _require_plain_request(one: Mapping[str, str]) -> None:
    for name in ("request", "request_uri", "registration"):
        if name in one:
            raise RequestError(f"{name}_not_supported")
    if not one.get("response_type"):
        raise RequestError("invalid_request", "response_type missing")
    if one["response_type"] != "code":
        raise RequestError("unsupported_response_type", "only code")
    if one.get("response_mode", "query") != "query":
        raise RequestError("invalid_request", "response_mode")


def _scope(text: str, wish: Wish) -> str:
    """The scopes that are known; unknown ones are left out (OpenID Connect Core clause 3.1.2.1)."""
    asked = text.split()
    if "openid" not in asked:
        raise RequestError("invalid_scope", "openid missing")
    known = [scope for scope in SCOPES if scope in asked]
    return " ".join(scope for scope in known if scope != "offline_access" or wish.offline)


def _code_challenge(one: Mapping[str, str]) -> str:
    """PKCE of everybody, S256 alone."""
    challenge = one.get("code_challenge", "")
    if not challenge:
        raise RequestError("invalid_request", "code_challenge missing: PKCE is required")
    if one.get("code_challenge_method", "plain") != "S256" or not _CHALLENGE.fullmatch(challenge):
        raise RequestError("invalid_request", "code_challenge_method must be S256")
    return challenge


def _resource(text: str, wish: Wish) -> str:
    if text and text not in wish.resources:
        raise RequestError("invalid_target", "resource")
    return text


def _english(locales: str) -> bool | None:
    """Whether the first locale that we speak is English; None when none is named."""
    for locale in locales.lower().split():
        if locale[:2] in ("en", "zh"):
            return locale.startswith("en")
    return None
