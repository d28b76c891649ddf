"""Keycloak as Maven Central has it, by the certificate that nginx verified."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from drill_keycloak import keycloak
from machines import wait_until
from measuring import children
from serving import free_port

from platforms.ground import HOST, Ground
from platforms.peer import MissingError, Peer

BROKER = """
server {{
    listen 127.0.0.1:{port} ssl;
    {tls}
    {client}
    location / {{
        proxy_pass http://127.0.0.1:{behind};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header ssl-client-cert $ssl_client_escaped_cert;
        proxy_set_header ssl-client-verify $ssl_client_verify;
    }}
}}
"""


class Keycloak(Peer):
    name = "Keycloak"
    REALM = "bench"
    BACK = "https://application.example.com/done"

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._behind = free_port()
        place = ground.place / "keycloak"
        place.mkdir()
        try:
            folder = keycloak(place)
        except pytest.skip.Exception as skipped:
            raise MissingError(str(skipped).replace("tried", "measured")) from None
        field = ground.field
        assert field.postgres
        with field.postgres.connect() as connection:
            connection.execute("CREATE DATABASE keycloak TEMPLATE template0")
        (folder / "data" / "import").mkdir(parents=True)
        (folder / "data" / "import" / "realm.json").write_text(json.dumps(self._realm()))
        command = [
            str(folder / "bin" / "kc.sh"), "start", "--import-realm", "--cache=local", "--db=postgres",
            f"--db-url=jdbc:postgresql://127.0.0.1:{field.postgres.port}/keycloak", "--db-username=calock", "--db-password=x",
            "--http-enabled=true", "--http-host=127.0.0.1", f"--http-port={self._behind}", "--proxy-headers=xforwarded",
            f"--hostname=https://{HOST}:{self.port}", "--spi-x509cert-lookup--provider=nginx",
            "--spi-x509cert-lookup--nginx--ssl-client-cert=ssl-client-cert",
            "--spi-x509cert-lookup--nginx--trust-proxy-verification=true",
        ]  # fmt: skip
        self._log = place / "log"
        self._process = ground.start(command, self._log, JAVA_OPTS_KC_HEAP="-Xms512m -Xmx1g")
        wait_until(self._answers, "Keycloak", 900)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise SystemExit(self._log.read_text()[-3000:])
        connection = http.client.HTTPConnection("127.0.0.1", self._behind, timeout=30)
        try:
            connection.request("GET", f"/realms/{self.REALM}", headers={"X-Forwarded-Proto": "https"})
            return connection.getresponse().status == 200
        except OSError:
            time.sleep(1)  # Java is starting
            return False
        finally:
            connection.close()

    def _realm(self) -> dict[str, object]:
        """A realm whose browser flow is the certificate alone: its CN names the account, and nobody is asked to confirm."""
        settings = {
            "mapping-source-selection": "Subject's Common Name", "mapper-selection": "Username or Email",
            "confirmation-page-disallowed": "true", "timestamp-validation-enabled": "true",
        }  # fmt: skip
        return {
            "realm": self.REALM, "enabled": True, "sslRequired": "none", "browserFlow": "certificate",
            "authenticationFlows": [{
                "alias": "certificate", "providerId": "basic-flow", "topLevel": True, "builtIn": False,
                "authenticationExecutions": [{
                    "authenticator": "auth-x509-client-username-form", "requirement": "REQUIRED", "priority": 10,
                    "authenticatorConfig": "certificate",
                }],
            }],
            "authenticatorConfig": [{
                "alias": "certificate", "config": {f"x509-cert-auth.{name}": value for name, value in settings.items()},
            }],
            "users": [{
                "username": person.username, "enabled": True, "email": f"{person.username}@example.com", "emailVerified": True,
                "firstName": "San", "lastName": "Zhang",
            } for person in self.ground.people],
            "clients": [{
                "clientId": "inner", "publicClient": True, "redirectUris": [self.BACK], "standardFlowEnabled": True,
            }],
        }  # fmt: skip

    @property
    def servers(self) -> str:
        return BROKER.format(port=self.port, tls=self.ground.tls, client=self.ground.client, behind=self._behind)

    def processes(self) -> list[int]:
        return [self._process.pid, *children(self._process.pid)]

    def person(self, person: Any) -> Callable[[], None]:
        asked = {"client_id": "inner", "redirect_uri": self.BACK, "response_type": "code", "scope": "openid", "state": "s"}
        path = f"/realms/{self.REALM}/protocol/openid-connect/auth?{urlencode(asked)}"
        return self.by_certificate(person, path, lambda where, _: "code=" in where)
