"""openid-client in Node: private_key_jwt, the ID token's signature, UserInfo, a fresh proof, and both ways out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jwt
from serving import free_port
from worlds import relying

PROGRAM = Path(__file__).parent / "programs" / "openid_client.mjs"


def test_openid_client_logs_a_lock_in_and_hears_when_the_session_ends(platform, tmp_path):
    node, port = shutil.which("node"), free_port()
    assert node, "Node is among tools/system-packages"
    origin, key = f"http://127.0.0.1:{port}", relying.own_key()
    platform.register(
        client_id="node", auth_method="private_key_jwt", jwks=[relying.jwk(key)], secrets=[],
        redirect_uris=[f"{origin}/callback"], post_logout_redirect_uris=[f"{origin}/left"], entry_url=f"{origin}/login",
        logout_url=f"{origin}/ended", logout_private=True,
    )  # fmt: skip
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key))
    told = {"issuer": platform.origin, "origin": origin, "port": port, "client": "node", "key": private}
    platform.start([node, PROGRAM, json.dumps(told)], port=port, log=tmp_path / "log")
    person = platform.surfer()
    found = person.open(f"{origin}/login").json()
    assert found["claims"]["acr"] == "urn:calock:acr:lock"
    assert found["claims"]["amr"] == ["swk", "pin", "mfa"]
    assert found["about"]["preferred_username"] == "zhangsan"
    again = person.open(f"{origin}/login?max_age=3600").json()
    assert again["claims"]["auth_time"] == found["claims"]["auth_time"], "nobody was asked again"
    person.log_out()
    platform.deliver()
    assert person.client.get(f"{origin}/").text == "null", "told by the platform"
    person.open(f"{origin}/login")
    left = person.client.get(f"{origin}/logout")
    assert str(left.url) == f"{origin}/left"
    assert str(person.client.get(f"{platform.origin}/apps/").url).startswith(f"{platform.origin}/login/"), "out of both"
