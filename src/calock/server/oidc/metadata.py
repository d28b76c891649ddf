"""What the provider says of itself (OpenID Connect Discovery 1.0, RFC 8414, RFC 9207)."""

from __future__ import annotations

from typing import Any

from calock.server.grants.levels import LEVELS, acr
from calock.server.oidc.keys import ALGORITHMS
from calock.server.oidc.requests import PROMPTS, SCOPES
from calock.server.oidc.server import AUTH_METHODS

CLAIMS = (
    "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
    "name", "preferred_username", "role", "org", "lock",
)  # fmt: skip


def configuration(issuer: str) -> dict[str, Any]:
    """The document at ``/.well-known/openid-configuration``."""
    endpoints = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "userinfo_endpoint": "userinfo",
        "jwks_uri": "jwks",
        "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke",
        "end_session_endpoint": "logout",
    }
    methods = {f"{name}_endpoint_auth_methods_supported": list(AUTH_METHODS) for name in ("token", "introspection", "revocation")}
    algorithms = {
        f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS) for name in ("token", "introspection", "revocation")
    }
    return {
        "issuer": issuer,
        **{name: f"{issuer}/oidc/{path}" for name, path in endpoints.items()},
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(SCOPES),
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        **methods,
        **algorithms,
        "acr_values_supported": [acr(level) for level in LEVELS],
        "claims_supported": list(CLAIMS),
        "claim_types_supported": ["normal"],
        "prompt_values_supported": sorted(PROMPTS),
        "ui_locales_supported": ["zh-CN", "en"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_request_uri_registration": False,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "service_documentation": f"{issuer}/help/",
    }
