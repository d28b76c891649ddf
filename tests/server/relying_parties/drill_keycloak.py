"""Keycloak as identity broker: its own applications let people in who prove themselves at the platform.

Its distribution comes from Maven Central. Where that is not reached the drill says so in one line and goes on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import jwt
import pytest
from serving import free_port

VERSION = "26.7.3"
ARTIFACT = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
START = 900
OPTIONS = "-Xmx512m -XX:TieredStopAtLevel=1"
ADMIN = {"view": ["admin"], "edit": ["admin"]}
PROFILE = {
    "attributes": [{"name": name, "permissions": ADMIN} for name in ("username", "email")],
    "unmanagedAttributePolicy": "ENABLED",
}


def keycloak(place: Path) -> Path:
    """The distribution, unpacked. It is fetched once, into the user's own Maven repository."""
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("Keycloak was not tried: there is no Maven here")
    command = [maven, "-q", "dependency:copy", f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={place}"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Keycloak was not tried: Maven did not get {ARTIFACT}")
    (found,) = place.glob("keycloak-*.zip")
    with zipfile.ZipFile(found) as packed:
        packed.extractall(place)
    found.unlink()
    folder = place / f"keycloak-{VERSION}"
    (folder / "bin" / "kc.sh").chmod(0o755)
    return folder


def _realm(issuer: str, secret: str, back: str) -> dict[str, object]:
    """A realm whose one identity provider is the platform; nobody is asked to review what it says."""
    level = {"syncMode": "FORCE", "claim": "acr", "user.attribute": "level"}
    told = {"user.attribute": "level", "claim.name": "level", "jsonType.label": "String", "id.token.claim": "true"}
    return {
        "realm": "broker", "enabled": True, "sslRequired": "none",
        "identityProviders": [{
            "alias": "calock", "providerId": "oidc", "enabled": True, "firstBrokerLoginFlowAlias": "silent", "config": {
                "issuer": issuer, "authorizationUrl": f"{issuer}/oidc/authorize", "tokenUrl": f"{issuer}/oidc/token",
                "userInfoUrl": f"{issuer}/oidc/userinfo", "jwksUrl": f"{issuer}/oidc/jwks", "logoutUrl": f"{issuer}/oidc/logout",
                "clientId": "keycloak", "clientSecret": secret, "clientAuthMethod": "client_secret_basic", "pkceEnabled": "true",
                "pkceMethod": "S256", "validateSignature": "true", "useJwksUrl": "true", "defaultScope": "openid profile",
                "syncMode": "FORCE", "backchannelSupported": "true",
            },
        }],
        "identityProviderMappers": [{
            "name": "level", "identityProviderAlias": "calock", "identityProviderMapper": "oidc-user-attribute-idp-mapper",
            "config": level,
        }],
        "authenticationFlows": [{
            "alias": "silent", "providerId": "basic-flow", "topLevel": True, "builtIn": False, "authenticationExecutions": [
                {"authenticator": "idp-create-user-if-unique", "requirement": "REQUIRED", "priority": 10},
            ],
        }],
        "components": {"org.keycloak.userprofile.UserProfileProvider": [{
            "providerId": "declarative-user-profile", "config": {"kc.user.profile.config": [json.dumps(PROFILE)]},
        }]},
        "clients": [{
            "clientId": "inner", "publicClient": True, "redirectUris": [back], "standardFlowEnabled": True, "protocolMappers": [{
                "name": "level", "protocol": "openid-connect", "protocolMapper": "oidc-usermodel-attribute-mapper", "config": told,
            }],
        }],
    }  # fmt: skip


def test_keycloak_brokers_a_lock_login_and_hears_when_the_session_ends(platform, tmp_path):
    folder, port = keycloak(tmp_path), free_port()
    origin = f"http://127.0.0.1:{port}"
    realm, back = f"{origin}/realms/broker", f"{origin}/done"
    secret = platform.register(
        client_id="keycloak", redirect_uris=[f"{realm}/broker/calock/endpoint"], entry_url=f"{origin}/",
        logout_url=f"{realm}/protocol/openid-connect/logout/backchannel-logout", logout_private=True,
    )  # fmt: skip
    (folder / "data" / "import").mkdir(parents=True)
    (folder / "data" / "import" / "realm.json").write_text(json.dumps(_realm(platform.origin, secret, back)))
    command = [folder / "bin" / "kc.sh", "start-dev", "--import-realm", "--http-host", "127.0.0.1", "--http-port", str(port)]
    platform.start(command, port=port, log=tmp_path / "log", environment={**os.environ, "JAVA_OPTS_APPEND": OPTIONS})
    _wait_for(realm, tmp_path / "log")
    person = platform.surfer()
    asked = {"client_id": "inner", "redirect_uri": back, "response_type": "code", "scope": "openid", "kc_idp_hint": "calock"}
    left = person.open(f"{realm}/protocol/openid-connect/auth?{urlencode(asked)}")
    assert str(left.url).startswith(back), (left.url, left.text)
    code = parse_qs(urlsplit(str(left.url)).query)["code"][0]
    body = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": "inner"}
    tokens = httpx.post(f"{realm}/protocol/openid-connect/token", data=body, timeout=60).json()
    about = _about(realm, tokens["access_token"])
    assert about.json()["preferred_username"] == "zhangsan", tokens
    assert _claims(tokens["id_token"])["level"] == "urn:calock:acr:lock"
    person.log_out()
    platform.deliver()
    assert _about(realm, tokens["access_token"]).status_code == 401, "Keycloak ended its own session"


def _about(realm: str, token: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{realm}/protocol/openid-connect/userinfo", headers=sent, timeout=60)


def _claims(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})  # Keycloak's own signature is not what is tried here


def _wait_for(realm: str, log: Path) -> None:
    """Until the realm answers: half a minute on an idle computer."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{realm}/.well-known/openid-configuration", timeout=60).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)  # Java is starting; the deadline above ends it
    raise AssertionError(log.read_text()[-5000:])
