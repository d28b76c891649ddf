"""An application before the OpenID provider, as a test plays it: PyJWT and plain requests, nothing of the provider's library."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import Client
from worlds.browser import Browser
from worlds.practice import ORIGIN

from calock.demo import pki
from calock.server.applications.installation import install_application
from calock.server.applications.models import Application
from calock.server.oidc import keys
from calock.server.sessions.models import Session
from calock.server.tools.digests import digest

SECRET = "calock-" + "s" * 43
CALLBACK = "https://caigou.example/callback"
LEFT = "https://caigou.example/left"
API = "https://api.caigou.example/v1/"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PASSWORD_LEVEL, LOCK_LEVEL = "urn:calock:acr:password", "urn:calock:acr:lock"
METADATA = "/.well-known/openid-configuration"


@cache
def own_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """A key of the application's, for private_key_jwt."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _rsa() -> Any:
    return keys.RSAKey.import_key(serialization.load_der_private_key(pki.make_key("RSA").private_pkcs8, None))


def cheap_keys(monkeypatch: Any) -> None:
    """RSA keys take long to make: the provider's first one is the same in every test."""
    monkeypatch.setattr(keys.RSAKey, "generate_key", lambda *_args, **_more: _rsa())


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    return json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))


def wish(**changed: Any) -> dict[str, Any]:
    """What is registered of the application, unless ``changed``."""
    registered = {
        "site": "shanxi",
        "client_id": "caigou",
        "name": "项目采购",
        "protocols": ["oidc"],
        "audience": ["supplier", "expert"],
        "entry_url": "https://caigou.example/login",
        "redirect_uris": [CALLBACK, "https://caigou.example/other?tenant=1"],
        "post_logout_redirect_uris": [LEFT],
        "auth_method": "client_secret_basic",
        "secrets": [digest(SECRET)],
        "offline": True,
        "resources": [API],
    }
    return {**registered, **changed}


def query_of(address: str) -> dict[str, str]:
    """The parameters of a redirect, each of which may be there once."""
    found = parse_qs(urlsplit(address).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values()), address
    return {name: values[0] for name, values in found.items()}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class RelyingParty:
    """One application. Its own calls come without cookies."""

    application: Application
    secret: str = SECRET
    host: str = ORIGIN.removeprefix("http://")
    server: Client = field(init=False)
    verifier: str = "v" * 50

    def __post_init__(self) -> None:
        self.server = Client(headers={"host": self.host}, REMOTE_ADDR="198.51.100.4")

    @property
    def client_id(self) -> str:
        return self.application.client_id

    def parameters(self, **changed: Any) -> dict[str, Any]:
        """A good authorization request; None takes a parameter away."""
        sent = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid",
            "state": "st/ate&1",
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**sent, **changed}.items() if value is not None}

    def ask(self, browser: Browser, **changed: Any) -> Any:
        """What the browser gets for an authorization request."""
        return browser.client.get("/oidc/authorize", self.parameters(**changed))

    def answer(self, browser: Browser, **changed: Any) -> dict[str, str]:
        """What comes back at the callback, from the registered address and with the state."""
        response = self.ask(browser, **changed)
        return self.back(response)

    def back(self, response: Any) -> dict[str, str]:
        assert response.status_code == 303, (response.status_code, response.content.decode()[:2000])
        address = response["Location"]
        assert address.startswith("https://caigou.example/"), address
        found = query_of(address)
        assert found["iss"] == ORIGIN  # RFC 9207, with errors too
        return found

    def credentials(self, **more: Any) -> dict[str, Any]:
        """Client authentication as it is registered: headers and fields of the body."""
        method = self.application.wish.auth_method
        if method == "private_key_jwt":
            return {"body": {"client_assertion_type": ASSERTION, "client_assertion": self.assertion(**more)}, "headers": {}}
        if method == "client_secret_post":
            return {"body": {"client_id": self.client_id, "client_secret": self.secret}, "headers": {}}
        basic = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
        return {"body": {}, "headers": {"Authorization": f"Basic {basic}"}}

    def assertion(self, *, key: Any = None, alg: str = "ES256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        now = int(time.time())
        good = {"iss": self.client_id, "sub": self.client_id, "aud": ORIGIN, "iat": now, "exp": now + 60}
        all_claims = {**good, "jti": secrets.token_urlsafe(8), **claims}
        return jwt.encode(all_claims, key if key is not None else own_key(), algorithm=alg, headers=header)

    def call(self, path: str, body: dict[str, Any], **more: Any) -> Any:
        sent = self.credentials(**more)
        return self.server.post(f"/oidc/{path}", {**sent["body"], **body}, headers=sent["headers"])

    def exchange(self, code: str, **changed: Any) -> Any:
        """The token endpoint's answer for a code."""
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": self.verifier}
        return self.call("token", {name: value for name, value in {**body, **changed}.items() if value is not None})

    def refresh(self, token: str, **more: Any) -> Any:
        return self.call("token", {"grant_type": "refresh_token", "refresh_token": token, **more})

    def enter(self, browser: Browser, **changed: Any) -> dict[str, Any]:
        """A whole login of somebody who is logged in at the platform: the token endpoint's answer, and ``claims``."""
        asked = {"nonce": secrets.token_urlsafe(8), **changed}
        response = self.exchange(self.answer(browser, **asked)["code"], redirect_uri=changed.get("redirect_uri", CALLBACK))
        assert response.status_code == 200, response.content
        tokens = response.json()
        tokens["claims"] = self.verified(tokens["id_token"])
        assert tokens["claims"].get("nonce") == asked["nonce"]
        return tokens

    def verified(self, token: str, audience: str = "") -> dict[str, Any]:
        """The claims of a token that holds under the keys the provider publishes, found by ``kid``."""
        published = jwt.PyJWKSet.from_dict(self.server.get("/oidc/jwks").json())
        header = jwt.get_unverified_header(token)
        key = published[header["kid"]]
        return jwt.decode(token, key, algorithms=["RS256", "ES256"], audience=audience or self.client_id, issuer=ORIGIN)

    def user_info(self, token: str) -> Any:
        return self.server.get("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"})

    def introspect(self, token: str) -> dict[str, Any]:
        response = self.call("introspect", {"token": token})
        assert response.status_code == 200, response.content
        return response.json()


def register(**changed: Any) -> RelyingParty:
    return RelyingParty(install_application(wish(**changed)))


def refused(response: Any) -> str:
    """The error that an endpoint told an application; no cache keeps it."""
    assert response.status_code in (400, 401), response.content
    assert response["Cache-Control"] == "no-store"
    return str(response.json()["error"])


def make_older(seconds: float) -> None:
    """As if every session's proofs lay so long ago."""
    for session in Session.objects.filter(ended_at__isnull=True):
        for name in ("created_at", "authenticated_at", "password_proved_at", "lock_proved_at"):
            if getattr(session, name):
                setattr(session, name, getattr(session, name) - timedelta(seconds=seconds))
        session.seal()
        session.save()
