"""Codes and tokens: made, found again, spent and taken back. Each lives no longer than its grant and its session."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from joserfc import jwt

from calock.server.applications.models import Application
from calock.server.grants.models import Grant
from calock.server.grants.services import is_live, revoke_grant
from calock.server.grants.store import Shown
from calock.server.oidc.claims import subject_of, with_lock
from calock.server.oidc.keys import signing_key
from calock.server.oidc.models import Code, Token
from calock.server.sessions.services import touch

CODE_LIFE = timedelta(seconds=60)
ACCESS_LIFE = timedelta(minutes=10)
JWT_LIFE = timedelta(minutes=5)
"""Nobody is asked about these before they are believed, so they are short."""


class Issued(NamedTuple):
    """A token as it is handed out, how many seconds it is good, and its row, unsaved; of a JWT there is none."""

    text: str
    seconds: int
    row: Token | None


_CODES, _TOKENS, _TOKENS_WITH_LOCK = Shown(Code), Shown(Token), Shown(Token, with_lock)
CODE_TWICE, REFRESH_TWICE = "code used twice", "refresh token used twice"


def _random() -> str:
    return secrets.token_urlsafe(32)


def new_code(grant: Grant, *, redirect_uri: str, nonce: str, code_challenge: str, resource: str, at: datetime) -> tuple[str, Code]:
    """A code for the redirect, and its row, unsaved."""
    text = _random()
    row = Code.new(
        text,
        grant=grant,
        redirect_uri=redirect_uri,
        nonce=nonce,
        code_challenge=code_challenge,
        resource=resource,
        expires_at=at + CODE_LIFE,
    )
    return text, row


def find_code(text: str, *, of: Application, at: datetime) -> Code | None:
    """The code when it may be exchanged by this application. A second use revokes the grant (RFC 9700 clause 4.14.2)."""
    code = _CODES.find(text, of=of)
    if code is None:
        return None
    if code.used_at is not None:
        revoke_grant(code.grant, why=CODE_TWICE, at=at)
        return None
    return code if at < code.expires_at and is_live(code.grant, at=at) else None


def new_access(grant: Grant, *, scope: str, resource: str, at: datetime) -> Issued:
    """An opaque token; for one of the application's own APIs a JWT (RFC 9068)."""
    if resource:
        return _jwt_access(grant, scope, resource, at)
    text = _random()
    row = Token.new(text, kind=Token.Kind.ACCESS, grant=grant, scope=scope, issued_at=at, expires_at=at + ACCESS_LIFE)
    return Issued(text, int(ACCESS_LIFE.total_seconds()), row)


def _jwt_access(grant: Grant, scope: str, resource: str, at: datetime) -> Issued:
    wish = grant.application.wish
    kid, key = signing_key(grant.application.site, wish.id_token_alg)
    claims = {
        "iss": grant.issuer,
        "sub": subject_of(grant.account_id, grant.application),
        "aud": resource,
        "client_id": wish.client_id,
        "iat": int(at.timestamp()),
        "exp": int((at + JWT_LIFE).timestamp()),
        "jti": secrets.token_urlsafe(16),
        "auth_time": int(grant.auth_time.timestamp()),
        "acr": grant.acr,
        "amr": grant.amr,
        "scope": scope,
    }
    text = jwt.encode({"alg": wish.id_token_alg, "kid": kid, "typ": "at+jwt"}, claims, key, algorithms=[wish.id_token_alg])
    return Issued(text, int(JWT_LIFE.total_seconds()), None)


def new_refresh(grant: Grant, *, scope: str, parent: Token | None, at: datetime) -> tuple[str, Token]:
    """A refresh token, and its row, unsaved; it ends with its session at the latest."""
    text = _random()
    row = Token.new(
        text,
        kind=Token.Kind.REFRESH,
        grant=grant,
        parent=parent,
        scope=scope,
        issued_at=at,
        expires_at=grant.session.expires_at,
    )
    return text, row


def find_token(text: str, *, of: Application, at: datetime) -> Token | None:
    """A token that is good now, with its live grant; ``of``: the application that asks about a token of its own."""
    return _if_good(_TOKENS.find(text, of=of), at)


def find_token_with_lock(text: str, *, at: datetime) -> Token | None:
    """The same, whichever application has it, for :func:`calock.server.oidc.claims.user_info`."""
    return _if_good(_TOKENS_WITH_LOCK.find(text), at)


def _if_good(token: Token | None, at: datetime) -> Token | None:
    if token is None or token.revoked_at is not None or at >= token.expires_at:
        return None
    return token if is_live(token.grant, at=at) else None


def find_refresh(text: str, *, of: Application, at: datetime) -> Token | None:
    """A refresh token of this application that was not used yet; a used one revokes the grant."""
    token = find_token(text, of=of, at=at)
    if token is None or token.kind != Token.Kind.REFRESH:
        return None
    if token.used_at is not None:
        revoke_grant(token.grant, why=REFRESH_TWICE, at=at)
        return None
    touch(token.grant.session, at=at)  # the person is at work in the application
    return token


def take_back(token: Token, *, at: datetime) -> None:
    """Revoke a token (RFC 7009); with a refresh token goes everything of its grant."""
    if token.kind == Token.Kind.REFRESH:
        revoke_grant(token.grant, why="revoked by the application", at=at)
    Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=at)


def sweep(*, at: datetime) -> int:
    """Delete what expired a day ago; how many rows went."""
    gone = at - timedelta(days=1)
    return sum(rows.delete()[0] for rows in (Code.objects.filter(expires_at__lt=gone), Token.objects.filter(expires_at__lt=gone)))
