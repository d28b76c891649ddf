"""ID tokens that applications hand back as a hint: ours, of this site, for that application; their age does not matter."""

from __future__ import annotations

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from calock.server.oidc.keys import ALGORITHMS, public_keys

MAX_LENGTH = 4000


def hinted_claims(text: str, *, site: str, issuer: str) -> dict[str, Any] | None:
    """The claims of an ID token that this issuer signed; None for anything else."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        keys = KeySet.import_key_set({"keys": public_keys(site)})
        token = jwt.decode(text, keys, algorithms=list(ALGORITHMS))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    claims: dict[str, Any] = token.claims
    is_id_token = token.header.get("typ") == "JWT" and "sid" in claims
    return claims if is_id_token and claims.get("iss") == issuer else None


def hinted_subject(text: str, *, site: str, issuer: str, audience: str) -> str | None:
    """The ``sub`` of such a token for that application."""
    claims = hinted_claims(text, site=site, issuer=issuer)
    if claims is None or claims.get("aud") != audience or not isinstance(claims.get("sub"), str):
        return None
    return str(claims["sub"])
