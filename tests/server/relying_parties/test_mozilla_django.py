"""mozilla-django-oidc: a Django application that asks silently, now and then, whether the person is still logged in."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jwt
from serving import free_port

PROGRAM = Path(__file__).parent / "programs" / "django_application.py"


def test_mozilla_django_oidc_logs_a_lock_in_and_is_out_with_the_session(platform, tmp_path):
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    secret = platform.register(
        client_id="mozilla", redirect_uris=[f"{origin}/oidc/callback/"], entry_url=f"{origin}/oidc/authenticate/"
    )
    told = {"issuer": platform.origin, "port": port, "client": "mozilla", "secret": secret, "place": str(tmp_path)}
    platform.start([sys.executable, PROGRAM, json.dumps(told)], port=port, log=tmp_path / "log")
    person = platform.surfer()
    found = person.open(f"{origin}/oidc/authenticate/").json()
    claims = jwt.decode(found["id_token"], options={"verify_signature": False})  # the application verified it
    assert found["user"]
    assert claims["acr"] == "urn:calock:acr:lock"
    person.client.get(f"{origin}/later")
    assert person.client.get(f"{origin}/").json()["user"] == found["user"], "silently let in again"
    person.log_out()
    person.client.get(f"{origin}/later")
    assert person.client.get(f"{origin}/").json()["user"] == ""
